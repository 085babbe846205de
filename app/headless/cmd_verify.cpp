#include <filesystem>

#include "app/analysis/compare_clips.h"
#include "app/engine/runners.h"
#include "app/engine/verify.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/clip_format.h"
#include "app/media/output_file.h"
#include "app/session/job_fields.h"

namespace zt {
namespace {

// What decides no pixel, and where the model is, may be said anew.
const std::vector<std::string> kFields = {"model", "threads", "max_memory", "device"};

// Of the same kind: a folder of frames, frames by number, or one file.
std::string again_name(const std::string& clip) {
  if (names_folder(clip)) return "/again/";
  return (clip.find('%') == std::string::npos ? "/again" : "/again_%04d") + std::filesystem::path(clip).extension().string();
}

Result<nlohmann::ordered_json> verify(const std::string& clip, const JobOptions& o, JobResult& again) {
  ZT_ASSIGN_OR_RETURN(ClipStory story, read_story(clip));
  JobSpec spec = story.spec;
  nlohmann::json keys = nlohmann::json::object();
  for (const std::string& name : o.given) keys[name] = field_value(o.spec, *find_field(name));
  if (Problem p = apply_keys(keys, spec); !p.empty()) return invalid("{}", p);
  ZT_ASSIGN_OR_RETURN(auto host, make_host());
  std::error_code error;
  std::string scratch = std::filesystem::temp_directory_path(error).string();
  remove_stale(scratch);
  ZT_ASSIGN_OR_RETURN(PendingFile folder, PendingFile::create(scratch + "/zoetrope-verify", true, true));
  spec.output = folder.temporary() + again_name(clip);
  again = run_and_show(make_render_runner(host), spec, o);
  if (again.code != ExitCode::done) return Status(Code::kFailed, again.error);
  ZT_ASSIGN_OR_RETURN(ClipStory now, read_story(spec.output));
  ZT_ASSIGN_OR_RETURN(ClipDifference d, compare_clips(clip, spec.output, {}));
  std::vector<std::string> why = differences(story, now.origin);
  nlohmann::ordered_json out;
  out["clip"] = clip;
  out["verdict"] = d.identical ? "bit-equal" : d.psnr >= kClosePsnr ? "close" : "different";
  out["frames"] = d.frames.size();
  // Of equal clips it has no value.
  out["psnr"] = d.identical ? nlohmann::ordered_json() : nlohmann::ordered_json(d.psnr);
  out["psnr_worst"] = d.identical ? nlohmann::ordered_json() : nlohmann::ordered_json(d.psnr_min);
  if (!d.identical && why.empty()) why.push_back("nothing that was stored explains it: the pictures were changed after the clip was made");
  out["why"] = why;
  return out;
}

int run_verify(const std::string& clip, const JobOptions& o) {
  JobResult again;
  auto report = verify(clip, o, again);
  if (!report.ok()) {
    int code = print_status(report.status());
    return again.code == ExitCode::done ? code : int(again.code);
  }
  bool different = (*report)["verdict"] == "different";
  if (o.json) {
    print_json(*report);
  } else {
    const auto& psnr = (*report)["psnr"];
    print_result(fmt::format("{}: {}{}\n", clip, (*report)["verdict"].get<std::string>(),
                             psnr.is_null() ? "" : fmt::format(" (PSNR {:.2f} dB)", psnr.get<double>())));
    for (const auto& line : (*report)["why"]) print_result("  " + line.get<std::string>() + "\n");
  }
  return different ? int(ExitCode::failed) : 0;
}

}  // namespace

std::function<int()> setup_verify(CLI::App& app) {
  auto options = add_job_options(app, kFields);
  auto clip = std::make_shared<std::string>();
  app.add_option("clip", *clip, "a clip this program made")->required();
  return [options, clip] {
    if (Problem p = finish_job_options(*options); !p.empty()) return print_status(invalid("{}", p));
    return run_verify(*clip, *options);
  };
}

}  // namespace zt

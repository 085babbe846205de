// compare: two clips, or one job under two attention methods or precisions with the same seed.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/analysis/compare_clips.h"
#include "app/analysis/frame_metrics.h"
#include "app/engine/presets.h"
#include "app/engine/runners.h"
#include "app/headless/job_console.h"
#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/output_file.h"
#include "app/session/job_fields.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> clips, attn, precision;
  std::string folder;
  double amplify = 8;
  std::shared_ptr<JobOptions> job;
};

// One side of the comparison: a clip that is there, or settings to render.
struct Side {
  std::string path, label;
  JobSpec spec;
  bool render = false;
};

// Removes what two renders left for the comparison alone.
struct Scratch {
  std::string folder;
  ~Scratch() {
    std::error_code ignored;
    if (!folder.empty()) fs::remove_all(folder, ignored);
  }
  Status make() {
    std::string name = (fs::temp_directory_path() / "zoetrope-compare-XXXXXX").string();
    if (!mkdtemp(name.data())) return failed("{}: no temporary folder can be made", name);
    folder = name;
    return {};
  }
};

// The two values of a setting that --attn or --precision names; the same twice when it names one or none.
Result<std::pair<std::string, std::string>> two(const std::vector<std::string>& given, const std::string& fallback, const char* flag) {
  if (given.size() > 2) return invalid("{} is given {} times: a comparison has two sides", flag, given.size());
  std::string first = given.empty() ? fallback : given[0];
  return std::pair{first, given.size() == 2 ? given[1] : first};
}

Result<std::pair<Side, Side>> sides_of(Options& o) {
  if (!o.clips.empty()) {
    if (o.clips.size() != 2) return invalid("compare: give two clips, or a prompt with two --attn or --precision");
    if (!o.attn.empty() || !o.precision.empty()) return invalid("compare: two clips, or two settings of one job, not both");
    return std::pair{Side{o.clips[0], o.clips[0], {}, false}, Side{o.clips[1], o.clips[1], {}, false}};
  }
  JobOptions& job = *o.job;
  if (Problem p = finish_job_options(job); !p.empty()) return invalid("{}", p);
  if (!job.given.count("prompt") && job.spec.text_embeds.empty())
    return invalid("compare: give two clips, or a prompt with -p and two --attn or --precision");
  ZT_ASSIGN_OR_RETURN(auto attn, two(o.attn, job.spec.attn, "--attn"));
  ZT_ASSIGN_OR_RETURN(auto precision, two(o.precision, job.spec.precision, "--precision"));
  if (attn.first == attn.second && precision.first == precision.second)
    return invalid("compare: both sides are {} in {}: give --attn or --precision twice", attn.first, precision.first);
  auto side = [&](const std::string& a, const std::string& p) {
    Side s{"", attn.first == attn.second ? p : precision.first == precision.second ? a : a + ", " + p, job.spec, true};
    s.spec.attn = a, s.spec.precision = p;
    return s;
  };
  return std::pair{side(attn.first, precision.first), side(attn.second, precision.second)};
}

// Renders a side; its exact frames are what is compared, its clip stays when there is a folder for it.
int render(Side& s, const char* name, const Options& o, const Scratch& scratch, const std::shared_ptr<ModelHost>& host) {
  JobOptions job = *o.job;
  job.spec = s.spec;
  job.spec.min_psnr = 0;  // a promise about the two of them
  if (job.spec.output.empty()) job.spec.output = (o.folder.empty() ? scratch.folder : o.folder) + "/" + name + ".mp4";
  job.spec.save_frames = s.path = scratch.folder + "/" + name + ".safetensors";
  print_note(fmt::format("{}: {}", name, s.label));
  JobResult result = run_and_show(make_render_runner(host), job.spec, job);
  if (result.code != ExitCode::done) print_error(result.error);
  return int(result.code);
}

nlohmann::ordered_json as_json(const ClipDifference& d, const Side& a, const Side& b) {
  nlohmann::ordered_json j;
  j["a"] = a.label, j["b"] = b.label;
  j["size"] = fmt::format("{}x{}", d.width, d.height), j["frames"] = d.frames.size(), j["fps"] = d.fps;
  j["identical"] = d.identical;
  j["psnr"] = d.psnr, j["psnr_mean"] = d.psnr_mean, j["psnr_min"] = d.psnr_min;
  j["ssim"] = d.ssim_mean, j["ssim_min"] = d.ssim_min;
  auto& frames = j["per_frame"] = nlohmann::ordered_json::array();
  for (const FrameDifference& f : d.frames) frames.push_back({{"psnr", f.psnr}, {"ssim", f.ssim}});
  return j;
}

std::string as_text(const ClipDifference& d) {
  if (d.identical) return fmt::format("identical: {} frames of {}x{}\n", d.frames.size(), d.width, d.height);
  return fmt::format("PSNR {:.2f} dB (worst frame {:.2f}), SSIM {:.4f} (worst frame {:.4f}), {} frames of {}x{}\n", d.psnr, d.psnr_min,
                     d.ssim_mean, d.ssim_min, d.frames.size(), d.width, d.height);
}

int run(Options& o) {
  auto sides = sides_of(o);
  if (!sides.ok()) return print_status(sides.status());
  auto& [a, b] = *sides;
  const JobSpec& spec = o.job->spec;
  if (!(o.amplify > 0 && o.amplify <= 255)) return print_status(invalid("amplify: {} is outside 0..255", o.amplify));
  ComparePictures pictures;
  pictures.fps = spec.fps;
  std::string report;
  if (!o.folder.empty()) {
    std::error_code error;
    fs::create_directories(o.folder, error);
    if (error) return print_status(invalid("output: {}: {}", o.folder, error.message()));
    pictures.side_by_side = o.folder + "/side_by_side.mp4", pictures.wipe = o.folder + "/wipe.mp4";
    pictures.difference = o.folder + "/difference.mp4", report = o.folder + "/compare.json";
    pictures.amplify = o.amplify, pictures.replace = spec.overwrite;
    for (const std::string& p : {pictures.side_by_side, pictures.wipe, pictures.difference, report}) {
      if (Status s = check_output(p, spec.overwrite); !s.ok()) return print_status(s);
    }
  }
  Scratch scratch;
  if (a.render) {
    if (Status s = scratch.make(); !s.ok()) return print_status(s);
    auto host = make_host();
    if (!host.ok()) return print_status(host.status());
    std::set<std::string> given = o.job->given;
    if (!o.attn.empty()) given.insert("attn");
    for (auto [side, name] : {std::pair{&a, "a"}, std::pair{&b, "b"}}) {
      if (Status s = apply_preset(side->spec, given, (*host)->places()); !s.ok()) return print_status(s);
      if (int code = render(*side, name, o, scratch, *host); code != 0) return code;
    }
  }
  auto d = compare_clips(a.path, b.path, pictures);
  if (!d.ok()) return print_status(d.status());
  auto j = as_json(*d, a, b);
  if (!report.empty()) {
    auto file = PendingFile::create(report, spec.overwrite);
    Status s = file.ok() ? write_text(*file, j.dump(1) + "\n") : file.status();
    if (s.ok()) s = file->commit();
    if (!s.ok()) return print_status(s);
  }
  o.job->json ? print_json(j) : print_result(as_text(*d));
  if (d->psnr >= spec.min_psnr) return 0;
  return print_status(failed("PSNR {:.2f} dB is below the {} dB asked for (--min-psnr)", d->psnr, spec.min_psnr));
}

}  // namespace

std::function<int()> setup_compare(CLI::App& app) {
  auto o = std::make_shared<Options>();
  std::vector<std::string> fields;
  for (const std::string& f : field_names()) {
    // Two of them make the two sides; the outputs are a folder.
    constexpr std::string_view kOwn[] = {"attn", "precision", "output", "save_frames", "save_latents", "report", "min_recall"};
    if (std::find(std::begin(kOwn), std::end(kOwn), f) == std::end(kOwn)) fields.push_back(f);
  }
  o->job = add_job_options(app, fields);
  app.add_option("clips", o->clips, "two clips, or two .safetensors with `frames` [T, H, W, 3] u8")->expected(0, 2);
  auto twice = [&](const char* flag, std::vector<std::string>& values, const char* help, const char* type) {
    app.add_option(flag, values, help)->type_name(type)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  };
  twice("--attn", o->attn, "give it twice: the attention methods of the two sides", "SPEC");
  twice("--precision", o->precision, "give it twice: the precisions of the two sides", "P");
  app.add_option("-o,--output", o->folder, "folder for side_by_side.mp4, wipe.mp4, difference.mp4, compare.json (and a.mp4, b.mp4)")
      ->type_name("DIR");
  app.add_option("--amplify", o->amplify, "how much the difference clip magnifies")->type_name("N");
  return [o] { return run(*o); };
}

}  // namespace zt

#include "app/engine/desk.h"

#include <algorithm>
#include <filesystem>

#include "app/engine/job_estimate.h"
#include "app/engine/pictures.h"
#include "app/engine/work_queue.h"
#include "app/media/output_file.h"

namespace zt {
namespace {

namespace fs = std::filesystem;

Status make_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  return error ? failed("{}: cannot make this folder: {}", folder, error.message()) : ok_status();
}

ClipsListed list_clips(const std::string& folder, const JobPlaces& places, Isa isa) {
  ClipsListed out;
  out.folder = folder;
  if (Status s = make_folder(folder); !s.ok()) return out.problem = s.message(), out;
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code error;
  for (const auto& e : fs::directory_iterator(folder, error)) {
    std::string extension = e.path().extension();
    bool clip = extension == ".mp4" || extension == ".mkv" || extension == ".mov" || extension == ".webm" || extension == ".gif";
    if (clip && e.is_regular_file(error)) found.emplace_back(e.last_write_time(error), e.path().string());
  }
  if (error) out.problem = folder + ": cannot be listed: " + error.message();
  std::sort(found.rbegin(), found.rend());
  constexpr size_t kShown = 200;
  if (found.size() > kShown) found.resize(kShown);
  for (auto& [time, path] : found) {
    auto spec = stored_settings(path);
    if (!spec.ok()) continue;  // not one of ours
    out.clips.push_back({path, *spec, nullptr});
  }
  auto waiting = read_queue(folder, places, isa);
  if (waiting.ok()) out.waiting = std::move(*waiting);
  if (!waiting.ok()) out.problem = waiting.status().message();
  return out;
}

struct Clerk {
  const JobPlaces& places;
  const ExecContext& ctx;
  DeskAnswer operator()(const LoadClip& ask) const {
    auto clip = load_clip(ask.path);
    return ClipLoaded{ask.path, ask.slot, clip.ok() ? *clip : nullptr, clip.status().message()};
  }
  DeskAnswer operator()(const SavePicture& ask) const {
    Status s = make_folder(folder_of(ask.path));
    if (s.ok()) s = save_picture(ask.path, *ask.clip, ask.frame);
    return FileWritten{ask.path, s.message()};
  }
  DeskAnswer operator()(const WriteText& ask) const {
    return FileWritten{ask.path, write_text_file(ask.path, ask.text).message()};
  }
  DeskAnswer operator()(const ListClips& ask) const { return list_clips(ask.folder, places, ctx.isa); }
  DeskAnswer operator()(const LoadThumbnail& ask) const {
    auto clip = load_thumbnail(ask.path);
    return ThumbnailLoaded{ask.path, clip.ok() ? *clip : nullptr};
  }
  DeskAnswer operator()(const ReadSettings& ask) const {
    auto spec = stored_settings(ask.path);
    return SettingsRead{ask.path, spec.ok() ? *spec : JobSpec(), spec.status().message()};
  }
  DeskAnswer operator()(const DescribeModel& ask) const { return describe_model(ask, places); }
  DeskAnswer operator()(const EstimateJob& ask) const { return estimate_job(ask, places, ctx); }
};

struct Refusal {
  std::string problem;
  DeskAnswer operator()(const LoadClip& ask) const { return ClipLoaded{ask.path, ask.slot, nullptr, problem}; }
  DeskAnswer operator()(const SavePicture& ask) const { return FileWritten{ask.path, problem}; }
  DeskAnswer operator()(const WriteText& ask) const { return FileWritten{ask.path, problem}; }
  DeskAnswer operator()(const ListClips& ask) const { return ClipsListed{ask.folder, {}, problem, {}}; }
  DeskAnswer operator()(const LoadThumbnail& ask) const { return ThumbnailLoaded{ask.path, nullptr}; }
  DeskAnswer operator()(const ReadSettings& ask) const { return SettingsRead{ask.path, {}, problem}; }
  DeskAnswer operator()(const DescribeModel& ask) const { return ModelDescribed{ask.model, {}, problem}; }
  DeskAnswer operator()(const EstimateJob& ask) const {
    JobEstimate out;
    return out.version = ask.version, out.problem = problem, out;
  }
};

bool is_thumbnail(const DeskRequest& r) { return std::holds_alternative<LoadThumbnail>(r); }

}  // namespace

Status write_text_file(const std::string& path, std::string_view text) {
  ZT_RETURN_IF_ERROR(make_folder(folder_of(path)));
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, true));
  ZT_RETURN_IF_ERROR(write_text(file, text));
  return file.commit();
}

Desk::Desk(std::unique_ptr<Machine> machine, JobPlaces places, std::function<void()> wakeup)
    : machine_(std::move(machine)), places_(std::move(places)), wakeup_(std::move(wakeup)), thread_(&Desk::work, this) {}

Desk::~Desk() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    requests_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

void Desk::post(DeskRequest request) {
  if (const auto* text = std::get_if<WriteText>(&request))
    return publish(FileWritten{text->path, write_text_file(text->path, text->text).message()});
  {
    std::lock_guard lock(mutex_);
    if (std::holds_alternative<EstimateJob>(request))
      std::erase_if(requests_, [](const DeskRequest& r) { return std::holds_alternative<EstimateJob>(r); });
    auto place = is_thumbnail(request) ? requests_.end() : std::find_if(requests_.begin(), requests_.end(), is_thumbnail);
    requests_.insert(place, std::move(request));
  }
  changed_.notify_all();
}

std::optional<DeskAnswer> Desk::poll() {
  std::lock_guard lock(mutex_);
  if (answers_.empty()) return std::nullopt;
  DeskAnswer answer = std::move(answers_.front());
  answers_.pop_front();
  return answer;
}

// The one place where exceptions end, as in the engine.
void Desk::work() {
  for (;;) {
    DeskRequest request;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !requests_.empty(); });
      if (stopping_) return;
      request = std::move(requests_.front());
      requests_.pop_front();
    }
    DeskAnswer answer;
    try {
      answer = std::visit(Clerk{places_, machine_->ctx}, request);
    } catch (const std::bad_alloc&) {
      answer = std::visit(Refusal{"out of memory"}, request);
    } catch (const std::exception& e) {
      answer = std::visit(Refusal{std::string("internal error: ") + e.what()}, request);
    }
    publish(std::move(answer));
  }
}

void Desk::publish(DeskAnswer answer) {
  {
    std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  if (wakeup_) wakeup_();
}

}  // namespace zt

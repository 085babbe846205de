#include "app/engine/verify.h"

#include "app/media/clip_format.h"
#include "app/media/isolated_reader.h"
#include "model/io/text_file.h"

namespace zt {

Result<ClipStory> read_story(const std::string& clip) {
  ZT_ASSIGN_OR_RETURN(auto reader, open_isolated(clip));
  std::string text = reader->info().comment;
  if (text.empty()) {
    auto side = read_small_file(side_file_of(clip), kMaxTextBytes);
    if (!side.ok()) return invalid("{}: no settings in it, and no side file beside it", clip);
    text = *side;
  }
  ClipStory story;
  std::string hash;
  if (Problem p = read_settings(text, story.spec, story.origin, hash); !p.empty()) return invalid("{}: {}", clip, p);
  if (story.origin.version.empty()) return invalid("{}: its comment is not from this program", clip);
  story.hash_fits = hash == settings_hash(story.spec);
  return story;
}

std::vector<std::string> differences(const ClipStory& story, const Origin& here) {
  std::vector<std::string> lines;
  auto differ = [&](const char* what, const std::string& then, const std::string& now) {
    if (then.empty()) {
      lines.push_back(fmt::format("{}: not stored with the clip, here {}", what, now));
    } else if (then != now) {
      lines.push_back(fmt::format("{}: {} then, {} now", what, then, now));
    }
  };
  differ("build", story.origin.version, here.version);
  differ("isa", story.origin.isa, here.isa);
  differ("model hash", story.origin.model_hash, here.model_hash);
  if (!story.hash_fits) lines.push_back("settings: changed since the clip was made, their hash does not fit");
  return lines;
}

}  // namespace zt

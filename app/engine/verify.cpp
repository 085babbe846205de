#include "app/engine/verify.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

Result<ClipDifference> compare_pictures(const std::string& a, const std::string& b) {
  ZT_ASSIGN_OR_RETURN(auto left, open_isolated(a));
  ZT_ASSIGN_OR_RETURN(auto right, open_isolated(b));
  const ClipInfo &l = left->info(), &r = right->info();
  if (l.width != r.width || l.height != r.height)
    return invalid("{}x{} against {}x{}: clips of two sizes", l.width, l.height, r.width, r.height);
  std::vector<uint8_t> x(size_t(l.width * l.height * 3)), y(x.size());
  ClipDifference d;
  d.psnr = d.worst = std::numeric_limits<double>::infinity();
  auto psnr = [](double mean_square) {
    return mean_square > 0 ? 10 * std::log10(255. * 255. / mean_square) : std::numeric_limits<double>::infinity();
  };
  double all = 0;
  for (;; ++d.frames) {
    ZT_ASSIGN_OR_RETURN(bool more, left->next(x.data()));
    ZT_ASSIGN_OR_RETURN(bool other, right->next(y.data()));
    if (more != other) return invalid("one clip ends after {} frames, the other goes on", d.frames);
    if (!more) break;
    int64_t squares = 0;
    for (size_t i = 0; i < x.size(); ++i) squares += (int(x[i]) - int(y[i])) * (int(x[i]) - int(y[i]));
    double mean = double(squares) / double(x.size());
    d.equal &= squares == 0, all += mean, d.worst = std::min(d.worst, psnr(mean));
  }
  if (d.frames == 0) return invalid("no frames to compare");
  d.psnr = psnr(all / double(d.frames));
  return d;
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

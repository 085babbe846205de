#include "app/analysis/inspect_report.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

#include "app/media/output_file.h"

namespace zt {
namespace {

constexpr int64_t kSmallSide = 96;

const char* branch_name(Branch b) { return b == Branch::cond ? "cond" : "uncond"; }

std::string base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t v = 0;
    size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) v = v << 8 | (j < n ? uint8_t(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? kDigits[v >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string(1, c);
  return out;
}

nlohmann::ordered_json fit_json(const ExponentialFit& f) {
  return {{"a", f.a}, {"b", f.b}, {"r2", f.r2}, {"a_y", f.a_y}, {"b_y", f.b_y}, {"r2_y", f.r2_y}};
}

std::vector<double> fitted(const ExponentialFit& f, size_t n) {
  std::vector<double> y(n);
  for (size_t i = 0; i < n; ++i) y[i] = f.r2 != 0 || f.a != 0 ? std::exp(-f.a * double(i) + f.b) : 0;
  return y;
}

}  // namespace

Status InspectReport::save(const std::string& name, const Picture& picture) {
  files_.push_back(name);
  return write_png(folder_ + "/" + name, picture, replace_);
}

Status InspectReport::save(const std::string& name, const std::string& text) {
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(folder_ + "/" + name, replace_));
  ZT_RETURN_IF_ERROR(write_text(file, text));
  files_.push_back(name);
  return file.commit();
}

Status InspectReport::add(const CapturedHead& c) {
  std::string stem = fmt::format("step{:03}_layer{:02}_head{:02}{}", c.step, c.layer, c.head, c.branch == Branch::cond ? "" : "_uncond");
  std::string where = fmt::format("step {}, layer {}, head {}, {}", c.step, c.layer, c.head, branch_name(c.branch));
  MapDrawing map;
  map.rows = map.cols = c.blocks, map.frame_rows = map.frame_cols = c.grid.h * c.grid.w / c.block;
  map.title = "attention: " + where, map.scale = MapScale::lift, map.values = c.mass;
  ZT_RETURN_IF_ERROR(save(stem + "_mass.png", draw_map(map)));
  map.kept = c.kept;
  map.title = fmt::format("kept by {}: density {:.3f}, recall {:.3f}", policy_, c.density, c.recall);
  ZT_RETURN_IF_ERROR(save(stem + "_plan.png", draw_map(map)));
  const Decay& d = c.decay;
  ZT_RETURN_IF_ERROR(save(stem + "_frames.png",
                          draw_curve(fmt::format("same place: exp(-{:.3f} x), R2 {:.3f}", d.frames_fit.a, d.frames_fit.r2),
                                     "distance in latent frames", d.over_frames, fitted(d.frames_fit, d.over_frames.size()))));
  ZT_RETURN_IF_ERROR(save(stem + "_space.png",
                          draw_curve(fmt::format("same frame: exp(-{:.3f} x), R2 {:.3f}", d.space_fit.a, d.space_fit.r2),
                                     "distance in the flattened frame, tokens", d.over_space, fitted(d.space_fit, d.over_space.size()))));

  nlohmann::ordered_json e;
  e["step"] = c.step, e["layer"] = c.layer, e["head"] = c.head, e["branch"] = branch_name(c.branch), e["policy"] = policy_;
  e["density"] = c.density, e["recall"] = c.recall, e["recall_worst"] = c.recall_worst, e["time_ms"] = c.seconds * 1e3;
  e["mass_png"] = stem + "_mass.png", e["plan_png"] = stem + "_plan.png";
  e["kind"] = head_kind_name(d.kind), e["own_frame"] = d.own_frame, e["own_place"] = d.own_place;
  e["over_frames"] = d.over_frames, e["frames_fit"] = fit_json(d.frames_fit), e["frames_png"] = stem + "_frames.png";
  e["over_space"] = d.over_space, e["space_fit"] = fit_json(d.space_fit), e["space_png"] = stem + "_space.png";
  entries_.push_back(std::move(e));

  Cell& cell = cells_[{c.step, c.branch}][{c.layer, c.head}];
  cell.picture = draw_small_map(map, kSmallSide);
  cell.caption = fmt::format("{:.3f} {}", c.recall, head_kind_name(d.kind));
  return {};
}

Status InspectReport::write_sheets() {
  for (const auto& [when, cells] : cells_) {
    std::set<int64_t> layers, heads;
    for (const auto& [place, cell] : cells) layers.insert(place.first), heads.insert(place.second);
    Sheet sheet;
    sheet.title = fmt::format("{}, step {}, {}: attention and what is kept of it; recall and kind of each head", policy_, when.first,
                              branch_name(when.second));
    for (int64_t h : heads) sheet.columns.push_back(fmt::format("head {}", h));
    for (int64_t l : layers) {
      sheet.rows.push_back(fmt::format("layer {}", l));
      for (int64_t h : heads) {
        auto found = cells.find({l, h});
        sheet.cells.push_back(found == cells.end() ? Picture() : found->second.picture);
        sheet.captions.push_back(found == cells.end() ? "" : found->second.caption);
      }
    }
    std::string name = fmt::format("step{:03}{}.png", when.first, when.second == Branch::cond ? "" : "_uncond");
    ZT_RETURN_IF_ERROR(save(name, draw_sheet(sheet)));
    sheets_.push_back(name);
  }
  return {};
}

std::string InspectReport::html(const nlohmann::ordered_json& settings, double capture_s, const std::string& clip) const {
  auto image = [&](const std::string& name) {
    std::ifstream in(folder_ + "/" + name, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    return "<img alt=\"" + escaped(name) + "\" src=\"data:image/png;base64," + base64(bytes) + "\">";
  };
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Zoetrope: attention of a clip</title>\n<style>\n"
      "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:1250px;padding:0 1em;color:#222;background:#fff}\n"
      "table{border-collapse:collapse}td,th{padding:.15em .8em;text-align:right;border-bottom:1px solid #ddd}\n"
      "summary{cursor:pointer;padding:.2em 0}img{max-width:100%;margin:.3em .6em .3em 0}pre{overflow:auto;background:#f5f5f5;padding:1em}\n"
      "</style></head><body>\n";
  out += fmt::format("<h1>Attention of a clip</h1>\n<p>Method <b>{}</b>{}. Looking took {:.2f} s.</p>\n", escaped(policy_),
                     clip.empty() ? "" : ", clip <b>" + escaped(clip) + "</b>", capture_s);
  out += "<p>Each map shows which keys (across) the queries (down) read, block by block, latent frame by latent frame: a colour "
         "says how many times more than evenly spread attention a block holds. What the plan left out is grey. Recall is the share "
         "of the true attention that was kept.</p>\n";
  for (const std::string& name : sheets_) out += "<h2>" + escaped(name.substr(0, name.size() - 4)) + "</h2>\n" + image(name) + "\n";
  out += "<h2>Heads</h2>\n";
  for (const auto& e : entries_) {
    out += fmt::format("<details><summary>step {}, layer {}, head {}, {}: density {:.3f}, recall {:.4f} (worst row {:.4f}), {:.2f} ms, {}</summary>\n",
                       e["step"].get<int64_t>(), e["layer"].get<int64_t>(), e["head"].get<int64_t>(), e["branch"].get<std::string>(),
                       e["density"].get<double>(), e["recall"].get<double>(), e["recall_worst"].get<double>(), e["time_ms"].get<double>(),
                       e["kind"].get<std::string>());
    for (const char* key : {"mass_png", "plan_png", "frames_png", "space_png"}) out += image(e[key].get<std::string>());
    out += "</details>\n";
  }
  return out + "<h2>Settings</h2>\n<pre>" + escaped(settings.dump(2)) + "</pre>\n</body></html>\n";
}

Status InspectReport::finish(const nlohmann::ordered_json& settings, double capture_s, const std::string& clip) {
  ZT_RETURN_IF_ERROR(write_sheets());
  nlohmann::ordered_json report;
  report["settings"] = settings, report["clip"] = clip, report["capture_s"] = capture_s, report["sheets"] = sheets_;
  report["entries"] = entries_;
  ZT_RETURN_IF_ERROR(save("report.html", html(settings, capture_s, clip)));
  return save("report.json", report.dump(1) + "\n");
}

}  // namespace zt

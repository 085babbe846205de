#include "app/headless/command_line.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "app/headless/print.h"
#include "app/headless/subcommand.h"
#include "app/media/av.h"
#include "app/session/events.h"
#include "app/session/text.h"

namespace zt {
namespace {

constexpr int kUsage = int(ExitCode::invalid);

// All names an option answers to, with their dashes.
std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* o : app.get_options()) {
    for (const std::string& s : o->get_snames()) names.push_back("-" + s);
    for (const std::string& l : o->get_lnames()) names.push_back("--" + l);
  }
  return names;
}

int unknown(const CLI::App& app, const std::string& word, bool of_program) {
  std::vector<std::string> known = flag_names(app);
  bool flag = word.starts_with('-');
  if (of_program && !flag) {
    known.clear();
    for (const Subcommand& s : subcommands()) known.push_back(s.name);
  }
  std::string name = word.substr(0, word.find('='));
  std::string nearest = flag || of_program ? closest_name(name, known) : "";
  std::string what = flag ? "flag" : of_program ? "subcommand" : "argument";
  print_error(fmt::format("unknown {} {}{}", what, name.substr(0, 60),
                          nearest.empty() ? fmt::format("; see {} --help", app.get_name()) : "; did you mean " + nearest + "?"));
  return kUsage;
}

// sd.cpp's way of saying render; and a job without a subcommand is most likely one, too.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  if (args.size() >= 2 && (args[0] == "-M" || args[0] == "--mode") && (args[1] == "vid_gen" || args[1] == "txt2vid")) {
    args.erase(args.begin());
    args[0] = "render";
  }
  return args;
}

int run(int argc, char** argv) {
  CLI::App app("Text to video on your own machine, with attention you can see.", "zoetrope");
  app.set_version_flag("--version", "zoetrope " ZT_VERSION);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::function<int()>>> handlers;
  for (const Subcommand& s : subcommands()) {
    CLI::App* sub = app.add_subcommand(s.name, s.help);
    handlers.emplace_back(sub, s.setup(*sub));
  }
  std::vector<std::string> args = arguments(argc, argv);
  try {
    app.parse(std::vector<std::string>(args.rbegin(), args.rend()));
  } catch (const CLI::CallForHelp&) {
    for (auto& [sub, handler] : handlers) {
      if (sub->parsed()) return print_result(sub->help()), 0;
    }
    return print_result(app.help()), 0;
  } catch (const CLI::CallForVersion& e) {
    return print_result(std::string(e.what()) + "\n"), 0;
  } catch (const CLI::ExtrasError&) {
    for (auto& [sub, handler] : handlers) {
      if (sub->parsed() && !sub->remaining().empty()) return unknown(*sub, sub->remaining().front(), false);
    }
    return unknown(app, app.remaining().empty() ? "" : app.remaining().front(), true);
  } catch (const CLI::RequiredError& e) {
    if (app.get_subcommands().empty()) {
      std::vector<std::string> extra = app.remaining(true);
      if (!extra.empty()) return unknown(app, extra.front(), true);
      print_error(args.empty() ? "a subcommand is wanted, such as `zoetrope render -p \"a red ball\"`; see zoetrope --help"
                               : e.what());
      return kUsage;
    }
    print_error(e.what());
    return kUsage;
  } catch (const CLI::ParseError& e) {
    print_error(e.what());
    return kUsage;
  }
  for (auto& [sub, handler] : handlers) {
    if (sub->parsed()) return handler();
  }
  return kUsage;
}

}  // namespace

int run_command_line(int argc, char** argv) {
  // While no job runs there is nothing to tidy up; a job reads its signals itself (job_console.cpp).
  for (int s : {SIGINT, SIGTERM, SIGUSR1}) std::signal(s, [](int) { _exit(int(ExitCode::interrupted)); });
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away must not leave a half-written clip
  quiet_ffmpeg();
  try {
    return run(argc, argv);
  } catch (const std::exception& e) {
    print_error(std::string("internal error: ") + e.what());
    return int(ExitCode::failed);
  }
}

}  // namespace zt

// First byte: a batch in TOML, a batch in CSV, or the settings stored with a clip.
#include "app/session/batch_file.h"
#include "app/session/job_text.h"
#include "tests/fuzz/fuzz.h"

namespace zt::fuzz {

std::vector<std::string> seeds() {
  JobSpec s;
  s.prompt = "a \"red\" ball";
  return {"t[defaults]\nprompt = 'a'\nseed = [1, 2]\nattn = ['dense', 'radial:decay=0.2']\n[[job]]\nsize = '64x64'\noutput = '{index:2}-{prompt:3}.mp4'\n"
          "[[job]]\nsteps = 5\ncfg_scale = 3.5\noverwrite = true\n",
          "cprompt,seed,output\r\n\"a, \"\"b\"\"\",3,x.mp4\r\nc,,\r\n", "s" + settings_document(s, "1").dump()};
}

void one(std::string_view input) {
  if (input.empty()) return;
  Problem problem;
  if (input[0] == 's') {
    JobSpec s;
    problem = read_settings(input.substr(1), s);
    if (problem.empty()) require(settings_hash(s).size() == 64);
  } else {
    std::vector<BatchInput> files = {{"x", std::string(input.substr(1)), input[0] == 'c'}};
    std::vector<BatchJob> jobs;
    problem = read_batch(files, {}, {}, jobs);
    if (problem.empty()) problem = settle_batch(jobs, "out");
    for (const BatchJob& j : jobs) {
      if (!problem.empty()) break;
      require(validate(j.spec).empty() && j.spec.output.starts_with("out/") && j.spec.output.find("/../") == std::string::npos);
    }
  }
  require(problem.find('\n') == std::string::npos);
}

}  // namespace zt::fuzz

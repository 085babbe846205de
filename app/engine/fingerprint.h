// Which weights a model has, as 16 hexadecimal digits: for saying later that they are not the ones a clip was made with. Not
// a defence against forgery.
#pragma once

#include <map>
#include <string>

namespace zt {

// Over names, sizes and bytes of every weight file, a variant's delta and its scale among them: all of a file's bytes up to 64 MiB,
// blocks spread evenly over larger ones.
// Empty when the model cannot be read; whoever opens it says why.
std::string model_fingerprint(const std::string& root);

class Fingerprints {
 public:
  const std::string& of(const std::string& root);

 private:
  std::map<std::string, std::string> known_;
};

}  // namespace zt

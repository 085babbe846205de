// Files that appear under their final name complete or not at all: written to a hidden temporary name in the same
// folder, synced, renamed, the folder synced. The temporary name carries its owner (machine, process, start time), so
// that the next run can tell a file in use from one whose owner died.
#pragma once

#include <string>
#include <vector>

#include "app/media/output_stream.h"

namespace zt {

class PendingFile {
 public:
  // Creates the empty temporary file (or folder), which shows at once whether the place can be written: kInvalid if not.
  // `faults`, if any, must outlive the file.
  static Result<PendingFile> create(const std::string& path, bool replace, bool folder = false, WriteFaults* faults = nullptr);
  PendingFile(PendingFile&& o) noexcept;
  PendingFile& operator=(PendingFile&& o) noexcept;
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  ~PendingFile();  // removes what was not committed

  const std::string& path() const { return path_; }
  const std::string& temporary() const { return temporary_; }
  WriteFaults* faults() const { return faults_; }
  // Opens it for writing from its start.
  Result<OutputStream> open() const { return OutputStream::open(temporary_, path_, faults_); }
  // Syncs and gives the final name. Without `replace`, a name taken meanwhile is an error and its file stays.
  // Without `sync` a cut of power may leave it damaged: for files that carry a checksum.
  Status commit(bool sync = true);

 private:
  PendingFile(std::string path, std::string temporary, bool replace, WriteFaults* faults)
      : path_(std::move(path)), temporary_(std::move(temporary)), replace_(replace), faults_(faults) {}
  void discard();
  std::string path_, temporary_;
  bool replace_ = false;
  WriteFaults* faults_ = nullptr;
};

// kInvalid when `path` cannot be an output: a folder or a device stands there, its folder is missing, or it exists and
// `replace` is false.
Status check_output(const std::string& path, bool replace);

Status write_text(const PendingFile& file, std::string_view text);
Status sync_file(const std::string& path, WriteFaults* faults = nullptr);

// This process as one word: machine and process namespace, pid, start time.
std::string process_tag();
// What can be said about the process of a tag: it runs on this machine, it is gone, or it belongs to another machine.
enum class TagState : uint8_t { alive, dead, elsewhere };
TagState tag_state(const std::string& tag);

// Removes temporary files of dead owners from a folder. Files of other machines are left alone.
void remove_stale(const std::string& folder);

std::string without_slash(std::string path);  // at its end; "/" stays
std::string folder_of(const std::string& path);  // "." for a plain name
std::string stem_of(const std::string& path);    // file name without folder and last extension

}  // namespace zt

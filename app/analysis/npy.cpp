#include "app/analysis/npy.h"

#include "app/media/output_file.h"

namespace zt {

Status write_npy(const std::string& path, std::span<const uint8_t> data, const std::vector<int64_t>& shape) {
  std::string dims;
  int64_t count = 1;
  for (int64_t d : shape) dims += fmt::format("{},", d), count *= d;
  ZT_CHECK(count == int64_t(data.size()));
  std::string header = fmt::format("{{'descr': '|u1', 'fortran_order': False, 'shape': ({}), }}", dims);
  // Magic, version and a two-byte length come before it; together with its newline all are a multiple of 64 bytes.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string text = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, char(header.size() & 0xff), char(header.size() >> 8)};
  text += header;
  text.append(reinterpret_cast<const char*>(data.data()), data.size());
  ZT_ASSIGN_OR_RETURN(PendingFile file, PendingFile::create(path, true));
  ZT_RETURN_IF_ERROR(write_text(file, text));
  return file.commit();
}

}  // namespace zt

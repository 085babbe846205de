#include "model/io/safetensors.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "model/io/safetensors_header.h"
#include "tests/model/io_support.h"
#include "tests/support/memory_limit.h"

namespace zt {
namespace {

using namespace zt::testing;

struct BadHeader {
  const char* name;  // of the case
  std::string header;
  size_t data;
  const char* rule;  // must stand in the message
};

void PrintTo(const BadHeader& b, std::ostream* out) { *out << b.name; }

std::string tensor(const std::string& body) { return "{\"t\":{" + body + "}}"; }

std::string many_entries(int n) {
  std::string h = "{";
  for (int i = 0; i < n; ++i)
    h += fmt::format("{}\"t{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", i ? "," : "", i);
  return h + "}";
}

const std::vector<BadHeader> kBad = {
    {"not_an_object", "[]", 0, "does not start with '{'"},
    {"leading_space", " {}", 0, "does not start with '{'"},
    {"empty_header", "", 0, "does not start with '{'"},
    {"unterminated", "{\"t\":", 0, "expected '{'"},
    {"trailing_bytes", "{}x", 0, "bytes behind"},
    {"second_object", "{}{}", 0, "bytes behind"},
    {"bad_utf8", "{\"\xff\":{}}", 0, "not valid UTF-8"},
    {"overlong_utf8", "{\"\xc0\xaf\":{}}", 0, "not valid UTF-8"},
    {"control_byte", "{\"a\nb\":{}}", 0, "control byte"},
    {"bad_escape", "{\"a\\q\":{}}", 0, "bad escape"},
    {"lone_surrogate", "{\"\\ud800\":{}}", 0, "lone surrogate"},
    {"nul_in_name", "{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "NUL"},
    {"name_too_long", "{\"" + std::string(5000, 'n') + "\":{}}", 0, "longer than 4096"},
    {"number_as_tensor", "{\"t\":5}", 0, "expected '{'"},
    {"missing_dtype", tensor("\"shape\":[1],\"data_offsets\":[0,4]"), 4, "'dtype' is missing"},
    {"missing_shape", tensor("\"dtype\":\"F32\",\"data_offsets\":[0,4]"), 4, "'shape' is missing"},
    {"missing_offsets", tensor("\"dtype\":\"F32\",\"shape\":[1]"), 4, "'data_offsets' is missing"},
    {"unknown_key", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1"), 4, "unknown key 'x'"},
    {"duplicate_key", tensor("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 4,
     "duplicate key 'dtype'"},
    {"unknown_dtype", tensor("\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]"), 4, "not a safetensors dtype"},
    {"unsupported_dtype", tensor("\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]"), 8, "not supported"},
    {"dtype_not_string", tensor("\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]"), 4, "expected '\"'"},
    {"rank_six", tensor("\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1],\"data_offsets\":[0,1]"), 1, "more than 5 dimensions"},
    {"negative_dim", tensor("\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]"), 1, "not a non-negative integer"},
    {"fraction_dim", tensor("\"dtype\":\"U8\",\"shape\":[1.0],\"data_offsets\":[0,1]"), 1, "not a non-negative integer"},
    {"exponent_dim", tensor("\"dtype\":\"U8\",\"shape\":[1e0],\"data_offsets\":[0,1]"), 1, "not a non-negative integer"},
    {"leading_zero_dim", tensor("\"dtype\":\"U8\",\"shape\":[01],\"data_offsets\":[0,1]"), 1, "not a non-negative integer"},
    {"dim_above_2_31", tensor("\"dtype\":\"U8\",\"shape\":[2147483649],\"data_offsets\":[0,1]"), 1, "larger than 2^31"},
    {"dim_above_2_64", tensor("\"dtype\":\"U8\",\"shape\":[18446744073709551616],\"data_offsets\":[0,1]"), 1,
     "overflows 64 bits"},
    {"product_wraps", tensor("\"dtype\":\"F32\",\"shape\":[2147483648,2147483648,4],\"data_offsets\":[0,0]"), 0,
     "larger than the file"},
    {"product_wraps_zero", tensor("\"dtype\":\"F32\",\"shape\":[0,2147483648,2147483648,4],\"data_offsets\":[0,4]"), 4,
     "span 4 bytes"},
    {"shape_too_large", tensor("\"dtype\":\"F32\",\"shape\":[1000],\"data_offsets\":[0,4]"), 4, "larger than the file"},
    {"shape_smaller", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]"), 8, "span 8 bytes"},
    {"offsets_backwards", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]"), 4, "backwards"},
    {"offsets_outside", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), 4, "end at byte 8 of 4"},
    {"offsets_wrap", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551612,0]"), 4, "backwards"},
    {"three_offsets", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]"), 4, "expected ']'"},
    {"hole_in_front", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]"), 8, "hole"},
    {"data_behind", tensor("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"), 8, "belong to no tensor"},
    {"data_without_tensors", "{}", 8, "belong to no tensor"},
    {"overlap",
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,"
     "12]}}",
     12, "overlap"},
    {"same_bytes_twice",
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,"
     "4]}}",
     4, "overlap"},
    {"hole_between",
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,"
     "12]}}",
     12, "hole"},
    {"duplicate_tensor",
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,"
     "8]}}",
     8, "duplicate name"},
    {"duplicate_by_escape",
     "{\"t\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"\\u0074\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
     "offsets\":[1,2]}}",
     2, "duplicate name"},
    {"misaligned",
     "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,"
     "5]}}",
     5, "not aligned"},
    {"metadata_twice", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, "duplicate key '__metadata__'"},
    {"metadata_not_strings", "{\"__metadata__\":{\"a\":1}}", 0, "expected '\"'"},
    {"metadata_duplicate", "{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate key 'a'"},
    {"deep", "{\"t\":{\"dtype\":" + std::string(100000, '['), 0, "expected '\"'"},
    {"too_many_entries", many_entries(65537), 0, "more than 65536 entries"},
};

class BadSafetensors : public ::testing::TestWithParam<BadHeader> {};

TEST_P(BadSafetensors, IsRefusedByName) {
  const BadHeader& b = GetParam();
  std::string path = write_file(test_folder() + "/bad.safetensors", safetensors_bytes(b.header, b.data));
  MemoryLimit limit;
  auto f = SafetensorsFile::open(path);
  ASSERT_FALSE(f.ok());
  expect_bad_model(f.status(), {path, b.rule});
  bool about_a_tensor = b.header.rfind("{\"t\":{", 0) == 0 && b.header.find("offsets") != std::string::npos;
  if (about_a_tensor && b.data > 0 && std::string(b.rule) != "belong to no tensor" &&
      std::string(b.rule).find("expected") == std::string::npos) {
    EXPECT_THAT(f.status().message(), ::testing::AnyOf(::testing::HasSubstr("'t'"), ::testing::HasSubstr("'u'")));
  }
}

INSTANTIATE_TEST_SUITE_P(Headers, BadSafetensors, ::testing::ValuesIn(kBad),
                         [](const auto& p) { return std::string(p.param.name); });

TEST(Safetensors, LengthsOfTheHeader) {
  std::string folder = test_folder();
  auto status = [&](const std::string& bytes) {
    return SafetensorsFile::open(write_file(folder + "/x.safetensors", bytes)).status();
  };
  expect_bad_model(status(""), {"x.safetensors", "empty"});
  expect_bad_model(status("1234567"), {"too short"});
  expect_bad_model(status(u64(100'000'001) + "{}"), {"100000001", "not a safetensors file"});
  expect_bad_model(status(u64(~0ull) + "{}"), {"18446744073709551615"});
  expect_bad_model(status(u64(3) + "{}"), {"larger than the file"});
  expect_bad_model(status("PK\x03\x04 a zip file, as pickles are"), {"not a safetensors file"});
}

TEST(Safetensors, OnlyRegularFiles) {
  std::string folder = test_folder();
  expect_bad_model(SafetensorsFile::open(folder + "/none").status(), {"none", "No such file"});
  expect_bad_model(SafetensorsFile::open(folder).status(), {"not a regular file"});
  ASSERT_EQ(mkfifo((folder + "/fifo").c_str(), 0600), 0);
  expect_bad_model(SafetensorsFile::open(folder + "/fifo").status(), {"fifo", "not a regular file"});
  expect_bad_model(SafetensorsFile::open("/dev/zero").status(), {"not a regular file"});
  write_file(folder + "/real", safetensors_bytes("{}", 0));
  std::filesystem::create_symlink("real", folder + "/link");
  EXPECT_TRUE(SafetensorsFile::open(folder + "/link").ok());
  std::filesystem::create_symlink("loop", folder + "/loop");
  expect_bad_model(SafetensorsFile::open(folder + "/loop").status(), {"loop"});
}

TEST(Safetensors, ReadsWhatTheFormatAllows) {
  std::string header =
      "{\"__metadata__\":{\"a\\u00e9\":\"\\ud83d\\ude00\"}, \"s\" : {\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"e\":{\"shape\":[0,7],\"data_offsets\":[4,4],\"dtype\":\"F16\"},\"b\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":"
      "[8,10]},"
      "\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[1,1,1,2,2],\"data_offsets\":[4,8]}}";
  header.append((8 - header.size() % 8) % 8, ' ');
  std::string path = write_file(test_folder() + "/ok.safetensors", safetensors_bytes(header, 10));
  SafetensorsFile f = must(SafetensorsFile::open(path));
  EXPECT_EQ(f.tensors.size(), 4u);
  EXPECT_EQ(f.tensors["s"].rank(), 0);
  EXPECT_EQ(f.tensors["s"].count(), 1);
  EXPECT_EQ(f.tensors["e"].count(), 0);
  EXPECT_EQ(f.tensors["x"].shape, (Shape{1, 1, 1, 2, 2}));
  EXPECT_EQ(f.tensors["b"].dtype, DType::u8);
  EXPECT_EQ(f.metadata["a\u00e9"], "\U0001f600");
}

TEST(Safetensors, WriteAndReadBack) {
  Arena arena;
  std::string folder = test_folder(), path = folder + "/out.safetensors";
  Tensor a = random_tensor(arena, DType::f32, {3, 5}, 1), b = random_tensor(arena, DType::bf16, {7}, 2);
  Tensor c = must(arena.zeros(DType::u8, {3}));
  std::vector<NamedTensor> list{{"z", a}, {"a \"quoted\"", b}, {"bytes", c}};
  ZT_ASSERT_OK(write_safetensors(path, list, {{"k", "v"}}));
  SafetensorsFile f = must(SafetensorsFile::open(path));
  EXPECT_EQ(f.metadata, (std::map<std::string, std::string>{{"k", "v"}}));
  EXPECT_EQ(to_floats(f.tensors["z"]), to_floats(a));
  EXPECT_EQ(to_floats(f.tensors["a \"quoted\""]), to_floats(b));
  EXPECT_EQ(f.tensors["bytes"].shape, (Shape{3}));
  EXPECT_EQ(uintptr_t(f.tensors["z"].data) % 8, 0u);
  std::string first = read_file(path);
  std::swap(list[0], list[2]);
  ZT_ASSERT_OK(write_safetensors(path, list, {{"k", "v"}}));
  EXPECT_EQ(read_file(path), first) << "bytes depend on the order of the list";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1) << "a temporary file is left";
}

TEST(Safetensors, FailedWriteLeavesTheOldFile) {
  Arena arena;
  std::string folder = test_folder(), path = folder + "/out.safetensors";
  Tensor small = random_tensor(arena, DType::f32, {4}, 1), large = random_tensor(arena, DType::f32, {1 << 16}, 1);
  ZT_ASSERT_OK(write_safetensors(path, {{"t", small}}));
  std::string before = read_file(path);
  // A limit on file size stands in for a full disk.
  struct rlimit old {
  }, limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  limit = old, limit.rlim_cur = 1 << 14;
  auto ignored = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  Status s = write_safetensors(path, {{"t", large}});
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, ignored);
  EXPECT_EQ(int(s.code()), int(Code::kFailed));
  EXPECT_THAT(s.message(), ::testing::AllOf(::testing::HasSubstr(path), ::testing::HasSubstr("File too large")));
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
  Status none = write_safetensors(folder + "/no/such/folder/x", {{"t", small}});
  EXPECT_THAT(none.message(), ::testing::HasSubstr("No such file"));
  EXPECT_EQ(int(write_safetensors(folder, {{"t", small}}).code()), int(Code::kFailed)) << "a folder was replaced";
}

// Every prefix of a good header, and thousands with changed bytes: an error, or entries that lie inside the data.
TEST(Safetensors, DamagedHeadersNeverCrash) {
  const std::string good =
      "{\"__metadata__\":{\"key\":\"value\"},\"first\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      "\"second\":{\"dtype\":\"BF16\",\"shape\":[5],\"data_offsets\":[24,34]}}  ";
  constexpr uint64_t kData = 34;
  ASSERT_TRUE(parse_safetensors_header(good, kData).ok());
  for (size_t n = 0; n + 2 < good.size(); ++n) EXPECT_FALSE(parse_safetensors_header(good.substr(0, n), kData).ok()) << n;
  Random r(3);
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    std::string bad = good;
    // Half of the changes put in a byte that means something in JSON.
    for (int k = 0; k <= i % 3; ++k)
      bad[size_t(r.below(int64_t(bad.size())))] = i % 2 ? char(r.bits()) : "{}[]\",:0123456789\\u"[r.below(19)];
    auto h = parse_safetensors_header(bad, kData);
    if (!h.ok()) continue;
    ++accepted;
    for (const HeaderEntry& e : h->entries) {
      ASSERT_TRUE(e.begin <= e.end && e.end <= kData && e.end - e.begin == size_t(e.shape.count()) * dtype_size(e.dtype)) << bad;
    }
  }
  EXPECT_GT(accepted, 100) << "nothing but refusals: the changes are too crude to test anything";
}

TEST(Safetensors, TruncatedFilesAreRefused) {
  Arena arena;
  std::string path = test_folder() + "/x.safetensors";
  Tensor a = random_tensor(arena, DType::f32, {2, 3}, 1);
  ZT_ASSERT_OK(write_safetensors(path, {{"first", a}}));
  const std::string good = read_file(path);
  for (size_t n = 0; n < good.size(); n += 3) {
    expect_bad_model(SafetensorsFile::open(write_file(path, good.substr(0, n))).status(), {path});
  }
}

TEST(Safetensors, HostileHeaderIsDecidedFast) {
  auto begin = std::chrono::steady_clock::now();
  std::string folder = test_folder();
  for (const std::string& h :
       {"{\"" + std::string(1 << 20, 'a'), std::string(1 << 20, '{'), "{\"t\":{\"shape\":[" + std::string(1 << 20, '1'),
        "{" + std::string(1 << 20, ' '), "{\"__metadata__\":{\"a\":\"" + std::string(1 << 20, '\\')}) {
    EXPECT_FALSE(SafetensorsFile::open(write_file(folder + "/x", safetensors_bytes(h, 0))).ok());
  }
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 2.0);
}

}  // namespace
}  // namespace zt

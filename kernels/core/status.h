// Errors that can happen are values (Status, Result<T>); bugs are ZT_CHECK, which throws Bug and is
// caught once, at the edge of a job. Libraries never print and never exit.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace zt {

// What went wrong, as coarse as the exit codes of the command (app/headless maps one to the other).
enum class Code {
  kOk,
  kFailed,      // exit 1: the job could not be finished
  kInvalid,     // exit 2: usage, invalid job, invalid plan
  kBadModel,    // exit 3: model missing, damaged, or of the wrong kind
  kTooBig,      // exit 4: does not fit in memory, refused
  kDeviceLost,  // exit 5
  kCancelled,   // exit 130: interrupted, resumable
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  // One line: what, where, what to do.
  const std::string& message() const { return message_; }
  // The same error with `where` put in front of the message.
  Status in(std::string_view where) const { return Status(code_, fmt::format("{}: {}", where, message_)); }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status ok_status() { return {}; }

template <class... A>
Status failed(fmt::format_string<A...> f, A&&... a) {
  return {Code::kFailed, fmt::format(f, std::forward<A>(a)...)};
}
template <class... A>
Status invalid(fmt::format_string<A...> f, A&&... a) {
  return {Code::kInvalid, fmt::format(f, std::forward<A>(a)...)};
}
template <class... A>
Status bad_model(fmt::format_string<A...> f, A&&... a) {
  return {Code::kBadModel, fmt::format(f, std::forward<A>(a)...)};
}
template <class... A>
Status too_big(fmt::format_string<A...> f, A&&... a) {
  return {Code::kTooBig, fmt::format(f, std::forward<A>(a)...)};
}

class Bug : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    if (status_.ok()) throw Bug("Result made from an ok Status");
  }
  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const { return status_; }
  T& value() & { return checked(); }
  const T& value() const& { return const_cast<Result*>(this)->checked(); }
  T&& value() && { return std::move(checked()); }
  T& operator*() & { return checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(checked()); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &value(); }

 private:
  T& checked() {
    if (!value_) throw Bug("value of a failed Result: " + status_.message());
    return *value_;
  }
  std::optional<T> value_;
  Status status_;
};

}  // namespace zt

#define ZT_CONCAT_(a, b) a##b
#define ZT_CONCAT(a, b) ZT_CONCAT_(a, b)

// A bug, not an error: the condition can only be false if the code is wrong.
#define ZT_CHECK(cond)                                                                          \
  do {                                                                                          \
    if (!(cond)) throw ::zt::Bug(fmt::format("{}:{}: check failed: {}", __FILE__, __LINE__, #cond)); \
  } while (0)

#define ZT_RETURN_IF_ERROR(expr)                  \
  do {                                            \
    ::zt::Status zt_status_ = (expr);             \
    if (!zt_status_.ok()) return zt_status_;      \
  } while (0)

// ZT_ASSIGN_OR_RETURN(auto x, f()): x = value, or return the error.
#define ZT_ASSIGN_OR_RETURN(lhs, expr) ZT_ASSIGN_OR_RETURN_(ZT_CONCAT(zt_result_, __LINE__), lhs, expr)
#define ZT_ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                         \
  if (!tmp.ok()) return tmp.status();        \
  lhs = std::move(tmp).value()

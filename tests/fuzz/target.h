// Target: calls one reader of untrusted bytes and checks the rules that hold for any input.
//
// Targets run under libFuzzer (libfuzzer.cpp, `make fuzz`) and, over the kept corpora, as unit tests
// (corpora_test.cpp).  A broken rule is thrown as Broken.
#pragma once

#include <span>
#include <stdexcept>
#include <string_view>

namespace tailgate::testing {

struct Target {
  const char* name;  // also of its folder in fuzz/corpus
  void (*run)(std::string_view input);
};

std::span<const Target> all_targets();

struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

// Throws `rule` unless it holds.
inline void must(bool holds, const char* rule) {
  if (!holds) throw Broken(rule);
}

// Cuts one input into several: single bytes, and texts that end with 0x1F.  After the end of the input, bytes
// are 0 and texts are empty.
class Pieces {
 public:
  explicit Pieces(std::string_view input) : rest_(input) {}

  unsigned byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }
  std::string_view text() {
    const std::string_view piece = rest_.substr(0, rest_.find('\x1F'));
    rest_.remove_prefix(piece.size() < rest_.size() ? piece.size() + 1 : piece.size());
    return piece;
  }
  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// In order of their names.
void fuzz_claims(std::string_view input);
void fuzz_config(std::string_view input);
void fuzz_cors(std::string_view input);
void fuzz_credentials(std::string_view input);
void fuzz_entry(std::string_view input);
void fuzz_forwarded(std::string_view input);
void fuzz_http_answer(std::string_view input);
void fuzz_identity(std::string_view input);
void fuzz_json(std::string_view input);
void fuzz_jwks(std::string_view input);
void fuzz_key_template(std::string_view input);
void fuzz_last_event_id(std::string_view input);
void fuzz_message(std::string_view input);
void fuzz_page(std::string_view input);
void fuzz_payload(std::string_view input);
void fuzz_record(std::string_view input);
void fuzz_sse(std::string_view input);
void fuzz_target(std::string_view input);
void fuzz_text(std::string_view input);
void fuzz_token(std::string_view input);

}  // namespace tailgate::testing

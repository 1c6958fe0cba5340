#include "tests/fuzz/target.h"

#include <array>

namespace tailgate::testing {

std::span<const Target> all_targets() {
  static constexpr std::array<Target, 20> kTargets = {{
      {"claims", fuzz_claims},
      {"config", fuzz_config},
      {"cors", fuzz_cors},
      {"credentials", fuzz_credentials},
      {"entry", fuzz_entry},
      {"forwarded", fuzz_forwarded},
      {"http_answer", fuzz_http_answer},
      {"identity", fuzz_identity},
      {"json", fuzz_json},
      {"jwks", fuzz_jwks},
      {"key_template", fuzz_key_template},
      {"last_event_id", fuzz_last_event_id},
      {"message", fuzz_message},
      {"page", fuzz_page},
      {"payload", fuzz_payload},
      {"record", fuzz_record},
      {"sse", fuzz_sse},
      {"target", fuzz_target},
      {"text", fuzz_text},
      {"token", fuzz_token},
  }};
  return kTargets;
}

}  // namespace tailgate::testing

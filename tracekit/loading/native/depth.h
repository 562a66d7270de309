// Follows the nesting of JSON text that arrives in pieces, as in records/depth.py.
#pragma once

#include <algorithm>
#include <cstdint>

#include "json.h"

namespace tracekit {

struct Depth {
  std::int64_t depth = 0, lowest = 0, highest = 0;
  bool in_string = false, escaped = false;

  void feed(const Byte* p, const Byte* end) {
    lowest = highest = depth;
    if (escaped && p < end) {
      if (*p == '"' || *p == '\\') p++;
      escaped = false;
    }
    unsigned high = 0;
    while (p < end) {
      if (in_string) p = plain(p, end, high);
      if (p >= end) return;
      const Byte c = *p++;
      if (c == '\\') {
        escaped = p == end;
        if (p < end && (*p == '"' || *p == '\\')) p++;
      } else if (c == '"') {
        in_string = !in_string;
      } else if (in_string) {
        continue;
      } else if (c == '{' || c == '[') {
        highest = std::max(highest, ++depth);
      } else if (c == '}' || c == ']') {
        lowest = std::min(lowest, --depth);
      }
    }
  }
};

}  // namespace tracekit

// Finds where the items of an array end, as far as they are whole and plain JSON.
#pragma once

#include <cstdint>
#include <vector>

#include "json.h"

namespace tracekit {

// Where each of the items begins and ends; the first begins the data, and one that is cut off or odd ends the list.
inline std::vector<std::int64_t> items(const Byte* data, std::size_t size) {
  std::vector<std::int64_t> found;
  Reader r(data, data + size, false);
  try {
    do {
      if (r.next() != '{') return found;
      const Byte* const from = r.p;
      r.skip(0);
      found.push_back(from - data);
      found.push_back(r.p - data);
    } while (r.is(','));
  } catch (const Odd&) {  // the rest is read by Python
  }
  return found;
}

}  // namespace tracekit

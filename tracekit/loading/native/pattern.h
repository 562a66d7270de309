// Some bytes that are compared often: those that repeat around the values of records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "json.h"

namespace tracekit {

class Pattern {
 public:
  static constexpr std::size_t MOST = 256;

  Pattern() = default;
  Pattern(const Byte* from, std::size_t size) : size_(size) { std::memcpy(bytes_, from, size); }

  std::size_t size() const { return size_; }

  // Whether some bytes begin with these.
  bool begins(const Byte* p, const Byte* end) const {
    const auto left = static_cast<std::size_t>(end - p);
#ifdef TRACEKIT_SSE2
    if (left >= size_ + STEP) {
      std::size_t at = 0;
      for (; at + STEP < size_; at += STEP)
        if (differing(p + at, bytes_ + at)) return false;
      return !(differing(p + at, bytes_ + at) << (STEP - (size_ - at)) & 0xFFFFu);
    }
#endif
    return left >= size_ && !std::memcmp(p, bytes_, size_);
  }

 private:
#ifdef TRACEKIT_SSE2
  static constexpr std::size_t STEP = 16;

  // A bit for each of the next 16 bytes that are not the same.
  static unsigned differing(const Byte* a, const Byte* b) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    return ~static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(x, y))) & 0xFFFFu;
  }
#endif

  std::size_t size_ = 0;
  Byte bytes_[MOST] = {};
};

}  // namespace tracekit

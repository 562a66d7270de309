// Writes the characters that a JSON string means, for strings that contain JSON themselves.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "json.h"

namespace tracekit {

constexpr std::size_t SPARE = 32;  // bytes behind the room for a string, which may be written to

// Copies plain text of a string and escaped quotes and backslashes, with up to 16 bytes more into spare room; returns
// where it ends.
inline const Byte* copied(Reader& r, Byte*& out) {
  const Byte* p = r.p;
#if defined(TRACEKIT_SSE2) && defined(__GNUC__)
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
  while (r.end - p >= 32) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i stop = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                      _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
    r.high |= static_cast<unsigned>(_mm_movemask_epi8(v));
    int from = 0;  // of these 16 bytes, where those begin that are not copied
    for (auto found = static_cast<unsigned>(_mm_movemask_epi8(stop)); found; found &= ~0u << from) {
      const int at = __builtin_ctz(found);
      const Byte next = p[at + 1];
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + from)));
      out += at - from;
      if (p[at] != '\\' || (next != '"' && next != '\\')) return p + at;
      *out++ = next;
      from = at + 2;
    }
    if (from < 16) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + from)));
      out += 16 - from;
    }
    p += std::max(from, 16);
  }
#endif
  const Byte* const stop = plain(p, r.end, r.high);
  if (stop > p) std::memcpy(out, p, static_cast<std::size_t>(stop - p));
  out += stop - p;
  return stop;
}

// Reads a string, and writes its characters to room for as many bytes as it has, and the spare ones; returns their end.
inline Byte* unescape(Reader& r, Byte* out, std::vector<Byte>& spelled) {
  r.want('"');
  for (;;) {
    const Byte* const stop = copied(r, out);
    if (stop >= r.end || *stop < 0x20) odd();
    r.p = stop + 1;
    if (*stop == '"') return out;
    if (r.p < r.end && (*r.p == '"' || *r.p == '\\')) {
      *out++ = *r.p++;
      continue;
    }
    spelled.clear();
    put_utf8(spelled, escape(r.p, r.end));
    std::memcpy(out, spelled.data(), spelled.size());
    out += spelled.size();
  }
}

}  // namespace tracekit

// Hashes of texts that are the same in every recording, and everywhere: those of hashlib and of pandas.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "finish.h"

#if defined(__GNUC__) && defined(__x86_64__) && !defined(_WIN32)  // there, the stack of gcc is not aligned for it
#include <immintrin.h>
#define TRACEKIT_FOUR_AT_ONCE __attribute__((target("avx2")))
#endif

namespace tracekit {

inline std::uint64_t rotated_left(std::uint64_t value, int bits) { return value << bits | value >> (64 - bits); }
inline std::uint64_t rotated_right(std::uint64_t value, int bits) { return value >> bits | value << (64 - bits); }

// Up to eight bytes as a number, the first byte lowest.
inline std::uint64_t word(const Byte* at, std::size_t size = 8) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; i++) value |= static_cast<std::uint64_t>(at[i]) << (8 * i);
  return value;
}

// BLAKE2b with a digest of eight bytes (RFC 7693), as ``hashlib.blake2b(text, digest_size=8)``.
class Blake2b {
 public:
  static constexpr std::size_t AT_ONCE = 4;
  static constexpr std::size_t BLOCK = 128;

  static std::uint64_t of(const Byte* text, std::size_t size) {
    std::uint64_t state[8];
    std::copy(START, START + 8, state);
    state[0] ^= ROOT;
    std::size_t done = 0;
    for (; size - done > BLOCK; done += BLOCK) mix(state, text + done, done + BLOCK, false);
    Byte last[BLOCK] = {};
    if (size > done) std::memcpy(last, text + done, size - done);
    mix(state, last, size, true);
    return state[0];
  }

#ifdef TRACEKIT_FOUR_AT_ONCE
  static bool can_take_four() { return __builtin_cpu_supports("avx2"); }

  // Writes the hashes of four texts of at most one block each: one in each lane.
  TRACEKIT_FOUR_AT_ONCE static void of_four(const Byte* const* texts, const std::size_t* sizes, std::uint64_t* made) {
    alignas(32) Byte words[AT_ONCE][BLOCK] = {};
    alignas(32) std::uint64_t lanes[16][AT_ONCE];
    for (std::size_t lane = 0; lane < AT_ONCE; lane++) {
      if (sizes[lane] > 0) std::memcpy(words[lane], texts[lane], sizes[lane]);
      for (std::size_t i = 0; i < 16; i++) lanes[i][lane] = word(words[lane] + 8 * i);
    }
    __m256i m[16], v[16];
    for (std::size_t i = 0; i < 16; i++) {
      m[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes[i]));
      v[i] = _mm256_set1_epi64x(static_cast<long long>(START[i % 8]));
    }
    v[0] = _mm256_xor_si256(v[0], _mm256_set1_epi64x(ROOT));
    const __m256i first = v[0], ends = _mm256_set_epi64x(
        static_cast<long long>(sizes[3]), static_cast<long long>(sizes[2]), static_cast<long long>(sizes[1]),
        static_cast<long long>(sizes[0]));
    v[12] = _mm256_xor_si256(v[12], ends);
    v[14] = _mm256_xor_si256(v[14], _mm256_set1_epi64x(-1));
    for (std::size_t round = 0; round < 12; round++) {
      const std::uint8_t* const s = ORDER[round % 10];
      for (std::size_t i = 0; i < 4; i++) quarter(v[i], v[i + 4], v[i + 8], v[i + 12], m[s[2 * i]], m[s[2 * i + 1]]);
      for (std::size_t i = 0; i < 4; i++)
        quarter(v[i], v[(i + 1) % 4 + 4], v[(i + 2) % 4 + 8], v[(i + 3) % 4 + 12], m[s[2 * i + 8]], m[s[2 * i + 9]]);
    }
    const __m256i found = _mm256_xor_si256(first, _mm256_xor_si256(v[0], v[8]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(made), found);
  }
#endif

 private:
  static constexpr std::uint64_t ROOT = 0x01010000 ^ 8;  // one root, without a key
  static constexpr std::uint64_t START[8] = {0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B,
                                             0xA54FF53A5F1D36F1, 0x510E527FADE682D1, 0x9B05688C2B3E6C1F,
                                             0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179};
  static constexpr std::uint8_t ORDER[10][16] = {
      {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

  static void mix(std::uint64_t* state, const Byte* block, std::uint64_t end, bool is_last) {
    std::uint64_t m[16], v[16];
    for (std::size_t i = 0; i < 16; i++) m[i] = word(block + 8 * i);
    std::copy(state, state + 8, v);
    std::copy(START, START + 8, v + 8);
    v[12] ^= end;
    if (is_last) v[14] = ~v[14];
    for (std::size_t round = 0; round < 12; round++) {
      const std::uint8_t* const s = ORDER[round % 10];
      for (std::size_t i = 0; i < 4; i++) quarter(v[i], v[i + 4], v[i + 8], v[i + 12], m[s[2 * i]], m[s[2 * i + 1]]);
      for (std::size_t i = 0; i < 4; i++)
        quarter(v[i], v[(i + 1) % 4 + 4], v[(i + 2) % 4 + 8], v[(i + 3) % 4 + 12], m[s[2 * i + 8]], m[s[2 * i + 9]]);
    }
    for (std::size_t i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
  }

  static void quarter(std::uint64_t& a, std::uint64_t& b, std::uint64_t& c, std::uint64_t& d, std::uint64_t x,
                      std::uint64_t y) {
    a += b + x;
    d = rotated_right(d ^ a, 32);
    c += d;
    b = rotated_right(b ^ c, 24);
    a += b + y;
    d = rotated_right(d ^ a, 16);
    c += d;
    b = rotated_right(b ^ c, 63);
  }

#ifdef TRACEKIT_FOUR_AT_ONCE
  TRACEKIT_FOUR_AT_ONCE static void quarter(__m256i& a, __m256i& b, __m256i& c, __m256i& d, __m256i x, __m256i y) {
    const __m256i by_24 = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
                                           3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    const __m256i by_16 = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
                                           2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    a = _mm256_add_epi64(a, _mm256_add_epi64(b, x));
    d = _mm256_shuffle_epi32(_mm256_xor_si256(d, a), 0xB1);  // by 32 bits
    c = _mm256_add_epi64(c, d);
    b = _mm256_shuffle_epi8(_mm256_xor_si256(b, c), by_24);
    a = _mm256_add_epi64(a, _mm256_add_epi64(b, y));
    d = _mm256_shuffle_epi8(_mm256_xor_si256(d, a), by_16);
    c = _mm256_add_epi64(c, d);
    b = _mm256_xor_si256(b, c);
    b = _mm256_or_si256(_mm256_srli_epi64(b, 63), _mm256_add_epi64(b, b));
  }
#endif
};

// SipHash-2-4 (Aumasson and Bernstein 2012) with the key of pandas, as ``pandas.util.hash_array`` of texts.
class SipHash {
 public:
  static std::uint64_t of(const Byte* text, std::size_t size) {
    const std::uint64_t low = word(KEY), high = word(KEY + 8);
    SipHash hash{low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573};
    std::size_t done = 0;
    for (; size - done >= 8; done += 8) hash.take(word(text + done));
    hash.take(static_cast<std::uint64_t>(size) << 56 | word(text + done, size - done));
    hash.c_ ^= 0xFF;
    for (int i = 0; i < 4; i++) hash.round();
    return hash.a_ ^ hash.b_ ^ hash.c_ ^ hash.d_;
  }

 private:
  static constexpr Byte KEY[16] = {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '1', '2', '3', '4', '5', '6'};

  SipHash(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) : a_(a), b_(b), c_(c), d_(d) {}

  void take(std::uint64_t value) {
    d_ ^= value;
    round();
    round();
    a_ ^= value;
  }

  void round() {
    a_ += b_;
    c_ += d_;
    b_ = rotated_left(b_, 13) ^ a_;
    d_ = rotated_left(d_, 16) ^ c_;
    a_ = rotated_left(a_, 32);
    c_ += b_;
    a_ += d_;
    b_ = rotated_left(b_, 17) ^ c_;
    d_ = rotated_left(d_, 21) ^ a_;
    c_ = rotated_left(c_, 32);
  }

  std::uint64_t a_, b_, c_, d_;
};

// Writes the hash of some texts.
template <class Hash>
void write_hashes(const Column<std::int64_t>& offsets, const Column<Byte>& text, const Made<std::uint64_t>& hashes,
                  std::size_t first) {
  for (std::size_t row = first; row < hashes.size(); row++) {
    const std::size_t begin = static_cast<std::size_t>(offsets[row]), end = static_cast<std::size_t>(offsets[row + 1]);
    hashes.set(row, Hash::of(text.at(begin), end - begin));
  }
}

#ifdef TRACEKIT_FOUR_AT_ONCE
// Writes the hashes of as many texts as come in fours, and returns how many these are.
inline std::size_t write_fours(const Column<std::int64_t>& offsets, const Column<Byte>& text,
                               const Made<std::uint64_t>& hashes) {
  std::size_t row = 0;
  for (; row + Blake2b::AT_ONCE <= hashes.size(); row += Blake2b::AT_ONCE) {
    const Byte* texts[Blake2b::AT_ONCE];
    std::size_t sizes[Blake2b::AT_ONCE];
    std::uint64_t made[Blake2b::AT_ONCE];
    bool fit = true;
    for (std::size_t lane = 0; lane < Blake2b::AT_ONCE; lane++) {
      const std::size_t begin = static_cast<std::size_t>(offsets[row + lane]);
      texts[lane] = text.at(begin);
      sizes[lane] = static_cast<std::size_t>(offsets[row + lane + 1]) - begin;
      fit = fit && sizes[lane] <= Blake2b::BLOCK;
    }
    if (fit) Blake2b::of_four(texts, sizes, made);
    for (std::size_t lane = 0; lane < Blake2b::AT_ONCE; lane++)
      hashes.set(row + lane, fit ? made[lane] : Blake2b::of(texts[lane], sizes[lane]));
  }
  return row;
}
#endif

// Writes the hash of each text; false if the columns do not fit each other.
template <class Hash>
bool text_hashes(const Column<std::int64_t>& offsets, const Column<Byte>& text, const Made<std::uint64_t>& hashes) {
  if (offsets.size() != hashes.size() + 1 || offsets[0] < 0) return false;
  for (std::size_t row = 0; row < hashes.size(); row++) {
    const std::int64_t begin = offsets[row], end = offsets[row + 1];
    if (end < begin || static_cast<std::uint64_t>(end) > text.size()) return false;
  }
  std::size_t done = 0;
#ifdef TRACEKIT_FOUR_AT_ONCE
  if constexpr (std::is_same_v<Hash, Blake2b>)
    if (Blake2b::can_take_four()) done = write_fours(offsets, text, hashes);
#endif
  write_hashes<Hash>(offsets, text, hashes, done);
  return true;
}

}  // namespace tracekit

// The order in which a writer writes members: what is between two values, with the name of the next member, is compared
// with what was there in an object before, not read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "members.h"
#include "pattern.h"

namespace tracekit {

// Of objects of one kind, which have N members that are known.
template <std::size_t N> class Order {
 public:
  // Reads an object; ``number`` gives the numbers of its members, and ``take`` reads their values.
  template <class Number, class Take> void object(Reader& r, Number& number, Take take) {
    std::size_t before = FIRST;
    r.want('{');
    if (r.is('}')) return;
    do {
      Text name;
      int found = guessed(r, before, number, name);
      if (found < 0) {
        const Byte* const from = r.p;
        if (before != FIRST) r.want(',');
        name = r.key();
        r.blank();
        found = number(name);
        if (found >= 0) learn(before, from, r.p, name, found, number.is_own(found, name));
      }
      take(found, name);
      before = found < 0 ? UNKNOWN : static_cast<std::size_t>(found);
    } while (!r.is('}'));
  }

 private:
  static constexpr std::size_t FIRST = N, UNKNOWN = N + 1, GUESSES = 2;

  struct Guess {
    Pattern between;  // from behind the value before, or the brace, up to the next value
    std::uint32_t name = 0, length = 0;
    int number = -1;
    bool is_own = true;  // of the two spellings the specification's
  };

  struct After {
    std::array<Guess, GUESSES> guesses;
    std::size_t oldest = 0;
  };

  template <class Number> int guessed(Reader& r, std::size_t before, Number& number, Text& name) const {
    for (const Guess& guess : after_[before].guesses) {
      if (guess.number < 0 || !guess.between.begins(r.p, r.end)) continue;
      name = {r.p + guess.name, guess.length, false};
      r.p += guess.between.size();
      return number.again(guess.number, guess.is_own);
    }
    return -1;
  }

  void learn(std::size_t before, const Byte* from, const Byte* to, const Text& name, int number, bool is_own) {
    const auto size = static_cast<std::size_t>(to - from);
    if (size > Pattern::MOST) return;
    After& after = after_[before];
    after.guesses[after.oldest] = {{from, size}, static_cast<std::uint32_t>(name.at - from), name.length, number, is_own};
    after.oldest = (after.oldest + 1) % GUESSES;
  }

  std::array<After, N + 2> after_;
};

}  // namespace tracekit

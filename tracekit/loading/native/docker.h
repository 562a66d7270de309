// Reads the JSON around a line of a container's log, as Docker writes it.
#pragma once

#include <vector>

#include "json.h"
#include "members.h"
#include "unescape.h"

namespace tracekit {

// The text of the member "log"; false where the line is anything but an object with it, once.
inline bool docker_log(const Byte* data, std::size_t size, std::vector<Byte>& out) {
  try {
    Reader r(data, data + size, false);
    Once once;
    std::vector<Byte> spelled;
    out.resize(size + SPARE);
    Byte* end = out.data();
    object(r, [&](const Text& key) {
      if (key.is("log")) {
        once(0);
        end = unescape(r, out.data(), spelled);
      } else {
        r.skip(1);
      }
    });
    r.blank();
    if (r.p < r.end || !once.all(1) || (r.high && !is_utf8(data, r.end))) return false;
    out.resize(static_cast<std::size_t>(end - out.data()));
    return true;
  } catch (const Odd&) {
    return false;
  }
}

}  // namespace tracekit

// Reads records of OpenSearch that consist of span documents: alone, in a list, in hits, or in the answer of a search.
// Lines of anything else are read as OTLP.
#pragma once

#include <cstdint>

#include "json.h"
#include "members.h"
#include "prepper_documents.h"

namespace tracekit {

class Prepper : public PrepperDocuments {
 public:
  using PrepperDocuments::PrepperDocuments;

  void run() {
    each_line([&](const Byte* from, std::int64_t number) {
      const Byte* const behind = whole_line(from, number, [&](Reader& r) { content(r); });
      return behind ? behind : line(from, number);
    });
  }

  // Reads documents and hits in a list, or one after the other, at most so many, up to one that is cut off or odd.
  void run_items(Items items, std::int64_t most) {
    each_item(items, most, [&](Reader& r) {
      r.base = AROUND;
      item(r);
    });
  }

 private:
  static constexpr int AROUND = 5;  // levels of nesting around the members of a document, at most

  void content(Reader& r) {
    r.base = AROUND;
    if (r.next() == '[') {
      list(r);
    } else if (!first_is_of(r, '_') && is_search(r)) {
      search(r);
    } else {
      item(r);
    }
  }

  void list(Reader& r) {
    const std::size_t before = spans.size();
    each(r, [&] { item(r); });
    if (spans.size() == before) odd();
  }

  // The name of the first member, and the reader stays where it is.
  static Text first(Reader& r) {
    const Byte* const from = r.p;
    r.want('{');
    const Text key = r.key();
    r.p = from;
    return key;
  }

  static bool first_is_of(Reader& r, Byte begin) {
    const Text key = first(r);
    return key.length && *key.at == begin && !key.is("_shards") && !key.is("_scroll_id");
  }

  static bool is_search(Reader& r) {
    const Text key = first(r);
    return key.is("took") || key.is("timed_out") || key.is("_shards") || key.is("_scroll_id") || key.is("hits");
  }

  // Reads an object with these members, of which the first one has to be there.
  template <std::size_t N, class Take> static void known(Reader& r, const Member (&names)[N], Take take) {
    Plain<N> number(names);
    object(r, [&](const Text& key) {
      const int found = number(key);
      if (found < 0) odd();
      if (found) r.skip(1);
      else take();
    });
    if (!number.all(1)) odd();
  }

  void search(Reader& r) {
    static const Member outer[] = {member("hits"), member("took"), member("timed_out"), member("_shards"),
                                   member("_scroll_id"), member("status")};
    static const Member inner[] = {member("hits"), member("total"), member("max_score")};
    known(r, outer, [&] { known(r, inner, [&] { list(r); }); });
    line_dialects_.searches++;
  }

  // A document, or a hit that contains one.
  void item(Reader& r) {
    if (r.next() != '{') odd();
    static const Member names[] = {member("_source"), member("_index"), member("_id"), member("_type"), member("_score"),
                                   member("_version"), member("_seq_no"), member("_primary_term"), member("_routing"),
                                   member("_ignored"), member("sort"), member("fields")};
    const std::int64_t place = r.p - data_;
    if (first_is_of(r, '_')) {
      known(r, names, [&] { document(r, place); });
    } else {
      document(r, place);
    }
  }
};

}  // namespace tracekit

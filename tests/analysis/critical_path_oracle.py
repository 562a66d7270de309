"""The critical path as the specification words it: one span, one moment at a time.  Slow and plain."""


def cut(span, spans):
    """Return the window of a span, None outside the tree."""
    low, high, awaited = spans[span]["start"], spans[span]["end"], spans[span]["awaited"]
    above = spans[span]["parent"]
    while above is not None:
        low, high = max(low, spans[above]["start"]), min(high, spans[above]["end"])
        awaited = awaited and spans[above]["awaited"]
        above = spans[above]["parent"]
    return (low, high) if awaited and low < high else None


def path(spans, *, touching=True):
    """Return {root: [(span, low, high), ...] from its end to its start}."""
    window = {span: cut(span, spans) for span in range(len(spans))}
    children = {span: [] for span in window}
    for span, facts in enumerate(spans):
        if facts["parent"] is not None and window[span]:
            children[facts["parent"]].append(span)
    roots = [span for span, facts in enumerate(spans) if facts["parent"] is None and window[span]]
    return {root: list(backwards(root, window, children, touching=touching)) for root in roots}


def backwards(root, window, children, *, touching):
    """Yield who had the time, walking from the end of the root to its start; the stack holds who waits for whom."""
    stack = [(root, window[root][1], False)]
    while stack:
        span, now, is_back = stack.pop()  # is_back: a child of this span has just been followed to its start
        ended = [
            kid
            for kid in children[span]
            if window[kid][1] < now or (window[kid][1] == now and (touching or not is_back))
        ]
        ended = [kid for kid in ended if window[kid][0] < now]
        if not ended:
            if window[span][0] < now:
                yield span, window[span][0], now
            continue
        latest = max(window[kid][1] for kid in ended)
        longest = min(window[kid][0] for kid in ended if window[kid][1] == latest)
        last = min(kid for kid in ended if window[kid] == (longest, latest))
        if latest < now:
            yield span, latest, now
        stack.append((span, longest, True))
        stack.append((last, latest, False))


def rerun(spans, factor):
    """Return the new duration of every span in a tree when self time is multiplied, deepest spans first."""
    window = {span: cut(span, spans) for span in range(len(spans))}
    children = {span: [] for span in window}
    for span, facts in enumerate(spans):
        if facts["parent"] is not None and window[span]:
            children[facts["parent"]].append(span)
    order, length = [span for span, facts in enumerate(spans) if facts["parent"] is None], {}
    for span in order:
        order += children[span]
    for span in reversed(order):
        if not window[span]:
            continue
        begun, done = {}, {}
        for kid in sorted(children[span], key=lambda kid: window[kid]):
            earlier = [other for other in children[span] if window[other][1] <= window[kid][0]]
            since = max((window[other][1] for other in earlier), default=window[span][0])
            new = max((done[other] for other in earlier), default=0)
            begun[kid] = new + (window[kid][0] - since) * factor[span]
            done[kid] = begun[kid] + length[kid]
        last = max((window[kid][1] for kid in children[span]), default=window[span][0])
        length[span] = max(done.values(), default=0) + (window[span][1] - last) * factor[span]
    return length

"""Below the span: self time on the critical path, split into functions by the samples of a profiler."""

"""The spans that a recorder keeps."""

from opentelemetry import trace

from tracekit.testing.recorder import Recorder


def test_spans_outside_of_a_recording_are_not_kept():
    recorder = Recorder()
    recorder.install()
    tracer = trace.get_tracer("test")
    tracer.start_span("before").end()
    assert recorder.spans() == ()
    with recorder.recording():
        tracer.start_span("inside").end()
        tracer.start_span("not ended")
        assert [span.name for span in recorder.spans()] == ["inside"]
    tracer.start_span("after").end()
    assert recorder.spans() == ()
    with recorder.recording():
        assert recorder.spans() == ()

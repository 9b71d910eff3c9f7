//! A trace goes on from one message to the next by its name, as W3C Trace Context writes it in `traceparent`.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The name of the current span, for whoever goes on with its trace. Empty: no trace is made.
pub fn here() -> String {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    match span.is_valid() {
        true => format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()),
        false => String::new(),
    }
}

/// Makes a span, before it is entered, part of the trace that `parent` names. A name that is none is passed over.
pub fn continues(span: &Span, parent: &str) {
    if let Some(parent) = read(parent) {
        // It fails for a span that nobody collects.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn read(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let spelled = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if version != "00"
        || !spelled(trace, 32)
        || !spelled(span, 16)
        || !spelled(flags, 2)
        || parts.next().is_some()
    {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_only_from_a_well_formed_name() {
        let name = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let read_back = read(name).unwrap();
        assert_eq!(read_back.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read_back.span_id().to_string(), "00f067aa0ba902b7");
        assert!(read_back.is_sampled() && read_back.is_remote());
        let nothing = format!("00-{}-{}-01", "0".repeat(32), "0".repeat(16));
        for wrong in [
            "",
            "00",
            "00-1-2-3",
            "-",
            &nothing,
            &name.to_uppercase(),
            &format!("{name}-1"),
            &name.replace("00-", "ff-"),
        ] {
            assert!(read(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn without_a_collector_there_is_no_trace_and_nothing_goes_on() {
        assert_eq!(here(), "");
        continues(&Span::current(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(here(), "");
    }
}

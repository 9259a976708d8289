//! What travels beside a call.

use message::MessageId;
use tonic::metadata::MetadataMap;

use crate::grpc::metadata::{MESSAGE_ID, TRACEPARENT, TraceParent, attach, message_id};

#[test]
fn message_id_and_trace_arrive_as_they_were_sent() {
    let (id, trace) = (MessageId::new(), TraceParent::generate());
    let mut metadata = MetadataMap::new();
    attach(&mut metadata, &id, trace);
    assert_eq!(metadata.get(MESSAGE_ID).unwrap().to_str().unwrap(), id.to_string());
    assert_eq!(message_id(&metadata), Some(id));
    assert_eq!(TraceParent::of(&metadata), trace);
}

#[test]
fn without_a_readable_trace_there_is_a_new_one() {
    let mut metadata = MetadataMap::new();
    let (one, other) = (TraceParent::of(&metadata), TraceParent::of(&metadata));
    assert_ne!(one.trace_id, other.trace_id);
    metadata.insert(TRACEPARENT, "00-garbage".parse().unwrap());
    assert_ne!(TraceParent::of(&metadata).trace_id, 0);
    assert_eq!(message_id(&metadata), None);
}

#[test]
fn a_child_stays_in_its_trace() {
    let parent = TraceParent::generate();
    let child = parent.child();
    assert_eq!(child.trace_id, parent.trace_id);
    assert_ne!(child.parent_id, parent.parent_id);
}

#[test]
fn a_traceparent_is_read_by_the_letter() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace: TraceParent = text.parse().unwrap();
    assert_eq!(trace.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    assert_eq!(trace.parent_id, 0x00f0_67aa_0ba9_02b7);
    assert_eq!(trace.flags, 1);
    assert_eq!(trace.to_string(), text);

    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
    assert_eq!(later.parse(), Ok(trace), "a later version is read as far as it is known");
    for wrong in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
    ] {
        assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
    }
}

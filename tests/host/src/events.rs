//! containerd's events, in the order in which they were published.

use serde_json::Value;

use crate::console::Console;
use crate::{containerd, isolation, wait};

/// A running `ctr events`.
pub struct Events {
    stream: Console,
    markers: usize,
}

/// One event.
#[derive(Debug)]
pub struct Event {
    /// As `/tasks/exit`.
    pub topic: String,
    /// Its fields.
    pub fields: Value,
}

impl Events {
    /// Starts listening; returns when events do arrive.
    pub fn listen() -> Self {
        let stream = containerd::ctr_piped(&["events"]);
        let mut events = Self { stream, markers: 0 };
        // ctr does not say when it is subscribed: make events until one is heard.
        wait::until("an event is heard", || {
            let marker = events.mark();
            events.heard(marker).then_some(())
        });
        events
    }

    /// Waits until every event published so far has arrived.
    pub fn settle(&mut self) {
        let marker = self.mark();
        wait::until("the last event is heard", || self.heard(marker).then_some(()));
    }

    /// Publishes an event that can be told from all others.
    fn mark(&mut self) -> usize {
        self.markers += 1;
        let label = format!("marker={}", self.markers);
        containerd::ctr(&["namespaces", "label", &isolation::containerd_namespace(), &label]).success();
        self.markers
    }

    fn heard(&self, marker: usize) -> bool {
        let value = marker.to_string();
        self.all().iter().any(|event| event.fields["labels"]["marker"] == value.as_str())
    }

    /// Waits for an event of a container with this topic; answers all task events of the container so far.
    pub fn of_container(&mut self, container: &str, last: &str) -> Vec<Event> {
        wait::until(&format!("the event {last} of {container}"), || {
            let events: Vec<Event> =
                self.all().into_iter().filter(|event| event.fields["container_id"] == container).collect();
            events.iter().any(|event| event.topic == last).then_some(events)
        })
    }

    /// Lines are `DATE TIME ZONE ZONE NAMESPACE TOPIC JSON`.
    fn all(&self) -> Vec<Event> {
        let text = self.stream.output();
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        complete
            .lines()
            .filter_map(|line| {
                let (head, json) = line.split_at(line.find(" {")?);
                let topic = head.split_whitespace().last()?.to_owned();
                Some(Event { topic, fields: serde_json::from_str(json.trim()).ok()? })
            })
            .collect()
    }
}

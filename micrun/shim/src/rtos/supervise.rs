//! From start to end of an RTOS: relays the console, learns the exit, reports it after the last byte.

use std::convert::Infallible;
use std::sync::Arc;

use micrun_firmware::StreamName;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{Mutex, oneshot, watch};

use super::console::Stream;
use super::container::Container;
use super::losses::Losses;
use super::terminal::Console;
use super::{auto_close, console, end};
use crate::stdio::presence::Presence;
use crate::stdio::tap::Tapped;
use crate::stdio::{self, Sink, Streams, input};
use crate::task::context::Context;
use crate::task::events::Event;

/// A run whose Start may not have answered yet.
pub(super) struct Beginning {
    /// Gets the word how it has ended, once its output is through.
    pub report: oneshot::Sender<String>,
    /// Its end is Start's answer.
    pub answer: oneshot::Receiver<Infallible>,
}

impl Container {
    /// Watches over a run until its end is known.
    pub(super) async fn supervise(self: Arc<Self>, context: Arc<Context>, beginning: Beginning) {
        let (end, ended) = watch::channel(false);
        let (client, closing) = auto_close::watch(&self, &context).unzip();
        let console = tokio::spawn(Arc::clone(&self).relay_streams(Arc::clone(&context), client, ended));
        let report = end::wait(&*context.mica, &self.id).await;
        if let Some(closing) = closing {
            closing.abort();
        }
        let exit = report.exit(self.stopped_with());
        log::info!(container = self.id; "{} ended with status {}: {}", self.id, exit.status, report.detail);
        // Cannot fail but for a console that has ended already.
        let _ = end.send(true);
        match console.await {
            Ok(lost) => stdio::log_lost(&self.id, lost),
            Err(error) => log::error!(container = self.id; "the console of {} died: {error}", self.id),
        }
        self.init.output_written().await;
        // Nobody waits for either, but for a Start under way.
        let _ = beginning.report.send(report.detail);
        let _ = beginning.answer.await;
        // Its commands end with it, and before it.
        self.end_execs(&context).await;
        if self.plan.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > Some(0)) {
            log::error!(
                container = self.id; "{} needed more memory than its limit allows: the kernel has killed its emulator",
                self.id
            );
            context.events.publish(Event::oom(&self.id));
        }
        self.finish(&context, exit);
    }

    /// Relays its streams; gives how many bytes were lost because nobody took them.
    async fn relay_streams(
        self: Arc<Self>,
        context: Arc<Context>,
        client: Option<Arc<Presence>>,
        ended: watch::Receiver<bool>,
    ) -> u64 {
        // The streams live here: they close, and the client sees the end, when this is over.
        let Some(Streams { stdin, stdout, stderr, .. }) = self.take_streams() else {
            return 0;
        };
        let outputs = Outputs { stdout: stdout.as_ref(), stderr: stderr.as_ref() };
        let console = self.relay_console(&context, stdin, &outputs, client, ended.clone());
        let (lost, more) = tokio::join!(console, self.relay_stderr(&context, outputs.stderr, ended));
        lost + more
    }

    async fn relay_console(
        &self,
        context: &Context,
        stdin: Option<Receiver>,
        outputs: &Outputs<'_>,
        client: Option<Arc<Presence>>,
        mut ended: watch::Receiver<bool>,
    ) -> u64 {
        let Some(tty) = console::open(&context.mica, &self.stream(None), &ended).await else {
            // Cannot fail but for a sender that is gone, which is an end as well.
            let _ = ended.wait_for(|ended| *ended).await;
            return 0;
        };
        let tty = Arc::new(tty);
        self.init.terminal_opened(Arc::clone(&tty));
        // What goes on from a checkpoint has been greeted before.
        if self.plan.snapshot.is_none()
            && let Err(error) = tty.write_all(&self.plan.greeting).await
        {
            log::warn!(container = self.id; "the greeting did not reach the console of {}: {error}", self.id);
        }
        let keyboard = Arc::new(Mutex::new(()));
        let (tap, typed) = (Arc::clone(&self.tap), Arc::clone(&keyboard));
        self.set_console(Some(Console { tty: Arc::clone(&tty), tap, keyboard }));
        let input = stdin.map(|stdin| {
            tokio::spawn(input::to_terminal(self.id.clone(), stdin, Arc::clone(&tty), typed, client))
        });
        let source = Tapped { source: &*tty, tap: &self.tap };
        let mut losses = Losses::new(&tty, outputs.stderr);
        let lost = tokio::select! {
            lost = stdio::relay(&self.id, &source, outputs.stdout, ended) => lost,
            never = losses.watch() => match never {},
        };
        losses.tell();
        let missed = tty.missed();
        if missed > 0 {
            log::error!(
                "{missed} bytes of the output of {} were lost before this shim could read them",
                self.id
            );
        }
        self.set_console(None);
        if let Some(input) = input {
            input.abort();
        }
        lost
    }

    /// Relays the stream that goes into the container's stderr, if one does.
    async fn relay_stderr(
        &self,
        context: &Context,
        stderr: Option<&Sink>,
        ended: watch::Receiver<bool>,
    ) -> u64 {
        let Some(name) = &self.plan.stderr else { return 0 };
        if stderr.is_none() {
            log::warn!(
                container = self.id;
                "{name} of {} goes nowhere: its container has no stderr of its own, as with a terminal", self.id
            );
            return 0;
        }
        match console::open(&context.mica, &self.stream(Some(name)), &ended).await {
            Some(tty) => stdio::relay(&format!("{name} of {}", self.id), &tty, stderr, ended).await,
            None => 0,
        }
    }

    fn stream(&self, name: Option<&StreamName>) -> Stream {
        Stream { client: self.id.clone(), name: name.cloned(), delivery: self.plan.delivery }
    }
}

/// Where output goes.
struct Outputs<'a> {
    stdout: Option<&'a Sink>,
    stderr: Option<&'a Sink>,
}

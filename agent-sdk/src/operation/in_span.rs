//! Futures whose code runs inside an operation's span.

use std::{
    borrow::Borrow,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tracing::Span;

/// Runs a future inside a span.
pub(crate) trait InSpan: Future + Sized {
    /// Enters the span for each poll, and for the drop of a future that is given up.
    ///
    /// Unlike [`tracing::Instrument`], a future that is done is dropped in the poll that ended it: entering the span once more for that
    /// costs as much as a poll, and most futures here are polled two or three times.
    /// The span is best lent: each copy of it is counted in the subscriber, and closed there.
    fn in_span<S: Borrow<Span>>(self, span: S) -> Inside<Self, S> {
        Inside {
            span,
            future: Some(self),
        }
    }
}

impl<F: Future> InSpan for F {}

pin_project! {
    /// What [`InSpan::in_span`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct Inside<F, S: Borrow<Span>> {
        span: S,
        #[pin]
        future: Option<F>,
    }

    impl<F, S: Borrow<Span>> PinnedDrop for Inside<F, S> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _inside = (*this.span).borrow().enter();
                this.future.set(None);
            }
        }
    }
}

impl<F: Future, S: Borrow<Span>> Future for Inside<F, S> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _inside = (*this.span).borrow().enter();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            // It has ended; whoever asks again waits for nothing.
            return Poll::Pending;
        };
        let output = ready!(future.poll(task));
        this.future.set(None);
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt;
    use tracing::span::Id;
    use tracing_subscriber::{
        Layer,
        layer::{Context as LayerContext, SubscriberExt},
        registry::LookupSpan,
    };

    use super::*;

    /// What was seen of one span, in order.
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<&'static str>>>);

    impl Seen {
        fn push(&self, what: &'static str) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Seen {
        fn on_enter(&self, _: &Id, _: LayerContext<'_, S>) {
            self.push("enter");
        }

        fn on_exit(&self, _: &Id, _: LayerContext<'_, S>) {
            self.push("exit");
        }
    }

    struct Noisy(Seen);

    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.push("drop");
        }
    }

    fn seen(work: impl FnOnce(Span, Noisy)) -> Vec<&'static str> {
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(seen.clone());
        tracing::subscriber::with_default(subscriber, || {
            work(tracing::info_span!("work"), Noisy(seen.clone()));
        });
        let seen = seen.0.lock().unwrap();
        seen.clone()
    }

    #[test]
    fn a_future_that_ends_is_dropped_inside_its_span_without_entering_it_again() {
        let seen = seen(|span, noisy| {
            let future = std::future::ready(()).map(move |()| drop(noisy));
            let mut inside = Box::pin(future.in_span(span));
            assert_eq!(inside.as_mut().now_or_never(), Some(()));
            assert_eq!(inside.as_mut().now_or_never(), None);
        });
        assert_eq!(seen, ["enter", "drop", "exit", "enter", "exit"]);
    }

    #[test]
    fn a_future_that_is_given_up_is_dropped_inside_its_span() {
        let seen = seen(|span, noisy| {
            let future = async move {
                let _noisy = noisy;
                std::future::pending::<()>().await;
            };
            assert_eq!(future.in_span(span).now_or_never(), None);
        });
        assert_eq!(seen, ["enter", "exit", "enter", "drop", "exit"]);
    }
}

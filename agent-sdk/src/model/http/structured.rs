//! Answers of a schema, for servers that cannot be asked for them.
//!
//! A request for JSON of a schema is rewritten into what the server understands, and its answer back, so that nobody above
//! notices: by a tool whose arguments are the answer, by JSON of any shape with the schema in the instructions, or by the
//! instructions alone. The answer is checked by whoever asked for it, as it is where the provider enforces the schema itself.

use std::{
    fmt::Write,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::Stream;

use crate::{
    message::{Message, Part},
    model::{
        ChatEvent, ChatRequest, ChatResponse, ChatStream, FinishReason, ModelError, OutputFormat,
        ToolChoice, ToolSpec,
    },
};

/// The tool whose arguments are the answer.
const ANSWER: &str = "give_answer";

/// How a server is asked for an answer of a schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StructuredOutput {
    /// The API's own way.
    #[default]
    Native,
    /// By a tool that takes the answer as its arguments. The model may call other tools first.
    Tool,
    /// As JSON of any shape, with the schema in the instructions.
    JsonObject,
    /// By the instructions alone.
    Prompt,
}

impl StructuredOutput {
    /// Rewrites a request; `None` where it can be sent as it is.
    pub(super) fn lower(self, request: &ChatRequest) -> Option<ChatRequest> {
        let OutputFormat::JsonSchema { schema, .. } = &request.output else {
            return None;
        };
        let mut lowered = request.clone();
        match self {
            Self::Native => return None,
            Self::Tool => {
                let answer = ToolSpec::new(
                    ANSWER,
                    "Gives the final answer. Call it once, when everything else is done.",
                    schema.clone(),
                );
                // With tools of its own the model chooses which one to call, and this one last.
                lowered.tool_choice = match &request.tool_choice {
                    _ if request.tools.is_empty() => ToolChoice::Tool(ANSWER.into()),
                    ToolChoice::Tool(name) => ToolChoice::Tool(name.clone()),
                    ToolChoice::None => ToolChoice::Tool(ANSWER.into()),
                    _ => ToolChoice::Required,
                };
                lowered.tools = request.tools.iter().cloned().chain([answer]).collect();
                lowered.output = OutputFormat::Text;
            }
            Self::JsonObject | Self::Prompt => {
                let mut text = request.instructions.as_deref().unwrap_or("").to_owned();
                if !text.is_empty() {
                    text.push_str("\n\n");
                }
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "Answer with one JSON value and nothing else, without a code fence. It must fit this JSON schema:\n{}",
                    schema.get()
                );
                lowered.instructions = Some(text.into());
                lowered.output = if self == Self::JsonObject {
                    OutputFormat::JsonObject
                } else {
                    OutputFormat::Text
                };
            }
        }
        Some(lowered)
    }

    /// Rewrites the answer to a request that was rewritten.
    pub(super) fn raise(self, mut response: ChatResponse) -> ChatResponse {
        if self == Self::Tool {
            raise(&mut response.message, &mut response.finish_reason);
            for message in &mut response.alternatives {
                raise(message, &mut FinishReason::Stop);
            }
        }
        response
    }

    /// The same for an answer that arrives piece by piece.
    pub(super) fn raise_stream(self, stream: ChatStream) -> ChatStream {
        if self == Self::Tool {
            let outside_span = !stream.is_in_span();
            let raised = ChatStream::new(Raised {
                inner: stream,
                answer: None,
            });
            if outside_span {
                raised.outside_span()
            } else {
                raised
            }
        } else {
            stream
        }
    }
}

/// Turns the call of the answer's tool into text. Calls beside it are left out: the answer is the model's last word.
fn raise(message: &mut Message, finish: &mut FinishReason) {
    let answer = message.tool_calls().find(|call| *call.name == *ANSWER);
    let Some(answer) = answer.map(|call| call.arguments.clone()) else {
        return;
    };
    message
        .parts
        .retain(|part| !matches!(part, Part::ToolCall(_) | Part::Text(_)));
    message.parts.push(Part::Text(answer));
    if *finish == FinishReason::ToolCalls {
        *finish = FinishReason::Stop;
    }
}

/// A stream in which the arguments of the answer's tool are text.
struct Raised {
    inner: ChatStream,
    /// The place of the answer's call in the turn.
    answer: Option<usize>,
}

impl Stream for Raised {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let event = match Pin::new(&mut self.inner).poll_next(cx) {
                Poll::Ready(Some(Ok(event))) => event,
                other => return other,
            };
            return Poll::Ready(Some(Ok(match event {
                ChatEvent::ToolCall { index, name, .. } if name == ANSWER => {
                    self.answer = Some(index);
                    continue;
                }
                ChatEvent::ToolCallArguments { index, fragment } if self.answer == Some(index) => {
                    ChatEvent::Text(fragment)
                }
                ChatEvent::Done(response) => {
                    ChatEvent::Done(Box::new(StructuredOutput::Tool.raise(*response)))
                }
                event => event,
            })));
        }
    }
}

/// The request as it is sent, and how its answer is read back.
pub(super) fn lowered(
    mode: StructuredOutput,
    request: ChatRequest,
) -> (ChatRequest, Option<StructuredOutput>) {
    match mode.lower(&request) {
        Some(lowered) => (lowered, Some(mode)),
        None => (request, None),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::{StreamExt, stream};
    use serde_json::value::RawValue;

    use super::*;
    use crate::{
        message::{CallId, ToolCall},
        model::Usage,
    };

    fn request() -> ChatRequest {
        let schema = RawValue::from_string(r#"{"type":"object"}"#.into()).unwrap();
        ChatRequest::new("hi").with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: Arc::from(schema),
            strict: true,
        })
    }

    fn tools() -> Vec<ToolSpec> {
        let schema = RawValue::from_string("{}".into()).unwrap();
        vec![ToolSpec::new("look", "", Arc::<RawValue>::from(schema))]
    }

    #[test]
    fn a_schema_goes_where_the_server_understands_it() {
        assert!(StructuredOutput::Native.lower(&request()).is_none());
        assert!(
            StructuredOutput::Tool
                .lower(&ChatRequest::new("hi"))
                .is_none()
        );

        let tool = StructuredOutput::Tool.lower(&request()).unwrap();
        assert_eq!(tool.tool_choice, ToolChoice::Tool(ANSWER.into()));
        assert_eq!(tool.tools[0].parameters.get(), r#"{"type":"object"}"#);
        assert!(matches!(tool.output, OutputFormat::Text));

        let more = StructuredOutput::Tool
            .lower(&request().with_tools(tools()))
            .unwrap();
        assert_eq!(more.tool_choice, ToolChoice::Required);
        assert_eq!(more.tools.len(), 2);

        let object = StructuredOutput::JsonObject
            .lower(&request().with_instructions("Be brief."))
            .unwrap();
        let said = object.instructions.unwrap();
        assert!(said.starts_with("Be brief.\n\n") && said.ends_with(r#"{"type":"object"}"#));
        assert!(matches!(object.output, OutputFormat::JsonObject));
        let prompt = StructuredOutput::Prompt.lower(&request()).unwrap();
        assert!(matches!(prompt.output, OutputFormat::Text));
    }

    #[tokio::test]
    async fn the_answer_s_tool_reads_as_text_whole_and_in_pieces() {
        let call = |name: &str| ToolCall::new("1", name, r#"{"a":1}"#);
        let answer = |name: &str| {
            let parts = vec![Part::Text("Here:".into()), Part::ToolCall(call(name))];
            ChatResponse::new(parts, FinishReason::ToolCalls, Usage::unknown())
        };
        let whole = StructuredOutput::Tool.raise(answer(ANSWER));
        assert_eq!(
            (whole.text().as_str(), &whole.finish_reason),
            (r#"{"a":1}"#, &FinishReason::Stop)
        );
        let other = StructuredOutput::Tool.raise(answer("look"));
        assert_eq!(other.message.tool_calls().count(), 1);

        let events = [
            ChatEvent::ToolCall {
                index: 0,
                id: CallId::from("1"),
                name: ANSWER.into(),
            },
            ChatEvent::ToolCallArguments {
                index: 0,
                fragment: r#"{"a":1}"#.into(),
            },
            ChatEvent::Done(Box::new(answer(ANSWER))),
        ];
        let stream = ChatStream::new(stream::iter(events.map(Ok)));
        let raised = StructuredOutput::Tool.raise_stream(stream);
        let raised: Vec<_> = StreamExt::collect(raised).await;
        let [Ok(ChatEvent::Text(text)), Ok(ChatEvent::Done(done))] = &raised[..] else {
            panic!("{raised:?}");
        };
        assert_eq!(
            (text.as_str(), done.text().as_str()),
            (r#"{"a":1}"#, r#"{"a":1}"#)
        );
    }
}

//! Long output goes beside the mail, with its end in it.

use notify_core::Message;
use notify_core::content::Block;
use notify_core::fit::{printable, shorten_front};

/// The most bytes of an output that stands in the mail whole.
pub(crate) const MAX_INLINE: usize = 8 * 1024;

/// How many bytes of a longer one stand there: its end, which says why it stopped.
const KEPT: usize = 4 * 1024;

/// The most bytes of all attachments; of what is beyond, the end is kept too.
pub(crate) const MAX_ATTACHED: usize = 256 * 1024;

/// A text that goes beside the mail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Takes long outputs out of a message, and leaves their ends and where the whole is.
pub(crate) fn split(message: &Message) -> (Message, Vec<Attachment>) {
    let is_long = |block: &&Block| matches!(block, Block::Code(code) if code.len() > MAX_INLINE);
    let count = message.blocks.iter().filter(is_long).count();
    let mut rest = message.clone();
    let mut attachments = Vec::new();
    if count == 0 {
        return (rest, attachments);
    }
    rest.blocks.clear();
    for block in &message.blocks {
        let Block::Code(code) = block else {
            rest.blocks.push(block.clone());
            continue;
        };
        if code.len() <= MAX_INLINE {
            rest.blocks.push(block.clone());
            continue;
        }
        let name = match attachments.len() + 1 {
            1 if count == 1 => "output.txt".to_owned(),
            number => format!("output-{number}.txt"),
        };
        let whole = shorten_front(code, MAX_ATTACHED / count, str::len);
        let end = shorten_front(code, KEPT, str::len).into_owned();
        rest.blocks.push(Block::Code(end));
        rest.blocks
            .push(Block::text(format!("More of it is in {name}.")));
        let text = printable(&whole).into_owned();
        attachments.push(Attachment { name, text });
    }
    (rest, attachments)
}

#[cfg(test)]
mod tests {
    use notify_core::content::Severity;

    use super::*;

    #[test]
    fn short_output_stays_and_long_output_leaves_its_end() {
        let short = Message::new("x", Severity::Info).block(Block::Code("a".repeat(MAX_INLINE)));
        assert_eq!(split(&short), (short.clone(), Vec::new()));

        let output = format!("first\u{1b}[31m\n{}last", "noise\n".repeat(2_000));
        let long = Message::new("x", Severity::Info).block(Block::Code(output));
        let (rest, attachments) = split(&long);
        let [Attachment { name, text }] = &*attachments else {
            panic!("{attachments:?}");
        };
        assert_eq!(name, "output.txt");
        assert!(text.starts_with("first[31m\n") && text.ends_with("last"));
        let shown = rest.plain_text();
        assert!(shown.len() < 2 * KEPT && shown.contains("last\n\nMore of it is in output.txt."));
    }

    #[test]
    fn attachments_together_are_bounded() {
        let code = Block::Code("é".repeat(MAX_ATTACHED));
        let many = Message::new("x", Severity::Info)
            .block(code.clone())
            .block(code);
        let (_, attachments) = split(&many);
        assert_eq!(attachments[1].name, "output-2.txt");
        let all: usize = attachments.iter().map(|one| one.text.len()).sum();
        assert!(all <= MAX_ATTACHED, "{all}");
    }
}

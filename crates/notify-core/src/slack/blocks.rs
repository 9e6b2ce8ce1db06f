//! Block Kit that an author wrote, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::problem::Malformed;

/// The most blocks of one's own: Slack takes 50 in a message, and one is kept for mentions.
pub const MAX_RAW_BLOCKS: usize = 49;

/// The most UTF-16 units of the JSON of blocks of one's own, after Slack's escaping. With mentions
/// it stays below 13,000, which were seen to be refused as `msg_blocks_too_long`.
pub const MAX_RAW_SIZE: usize = 11_000;

/// Block Kit of one's own: a list of maps, each with its `type`.
///
/// What is in the blocks beside `type` is Slack's affair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<RawBlock>")]
#[schemars(
    with = "Vec<RawBlock>",
    description = "Block Kit of one's own, sent as it is.",
    extend("minItems" = 1, "maxItems" = MAX_RAW_BLOCKS)
)]
pub struct RawBlocks(Vec<RawBlock>);

/// One block: a map with a `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>")]
#[schemars(
    with = "Map<String, Value>",
    description = "A block: https://docs.slack.dev/reference/block-kit/blocks.",
    extend("properties" = {"type": {"type": "string", "minLength": 1}}, "required" = ["type"])
)]
pub struct RawBlock(Map<String, Value>);

impl RawBlocks {
    /// Walks the blocks.
    pub fn iter(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.0.iter().map(|block| &block.0)
    }
}

impl TryFrom<Map<String, Value>> for RawBlock {
    type Error = Malformed;

    fn try_from(map: Map<String, Value>) -> Result<Self, Malformed> {
        let kind = map.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| !kind.is_empty()) {
            return Ok(Self(map));
        }
        let why = "a block has a `type`";
        let why = Malformed::new(why)
            .plainly(why)
            .help("write it as Block Kit has it: `{type: divider}`");
        Err(Malformed::new(why.in_serde()))
    }
}

impl TryFrom<Vec<RawBlock>> for RawBlocks {
    type Error = Malformed;

    fn try_from(blocks: Vec<RawBlock>) -> Result<Self, Malformed> {
        let why = if blocks.is_empty() {
            "there is no block".to_owned()
        } else if blocks.len() > MAX_RAW_BLOCKS {
            format!(
                "{} blocks, and a message has room for {MAX_RAW_BLOCKS}",
                blocks.len()
            )
        } else {
            let size = size(&blocks);
            if size <= MAX_RAW_SIZE {
                return Ok(Self(blocks));
            }
            format!("the blocks have {size} characters, and Slack takes {MAX_RAW_SIZE}")
        };
        let why = Malformed::new(why.clone()).plainly(why);
        Err(Malformed::new(why.in_serde()))
    }
}

/// Counts what the blocks take once Slack has escaped them.
fn size(blocks: &[RawBlock]) -> usize {
    let json = serde_json::to_string(blocks).unwrap_or_default();
    let entity = |letter: char| match letter {
        '&' => 5,
        '<' | '>' => 4,
        other => other.len_utf16(),
    };
    json.chars().map(entity).sum()
}

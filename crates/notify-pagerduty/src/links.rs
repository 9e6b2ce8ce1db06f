//! The links and images of an event: those of the message, and the author's own.

use notify_core::Message;
use notify_core::content::{self, Block, Inline};
use notify_core::fit::{one_line, shorten};
use notify_core::pagerduty::{PagerDutyLink, PagerDutyOptions, PagerDutyText};
use notify_http::web_url;
use serde::Serialize;

/// The vendor names no limit; these leave room for everything else.
const MAX_LINKS: usize = 20;
const MAX_LINK_TEXT: usize = 200;
const MAX_HREF: usize = 3_000;

/// What can be opened.
#[derive(Serialize)]
pub(crate) struct Link {
    href: String,
    text: String,
}

/// What PagerDuty loads and shows.
#[derive(Serialize)]
pub(crate) struct Image {
    src: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alt: Option<String>,
}

/// Makes links of what may be opened, and text of the actions and of the author's links that may not.
pub(crate) fn links(
    message: &Message,
    options: Option<&PagerDutyOptions>,
) -> (Vec<Link>, Vec<String>) {
    let mut links = Vec::new();
    let mut rest = Vec::new();
    let actions = message.actions.iter();
    let actions = actions.map(|content::Action { label, url }| (label.as_str(), url.as_str()));
    let own = options.into_iter().flat_map(|options| &options.links);
    let own = own.map(|PagerDutyLink { href, text, .. }| {
        let label = text.as_ref().map_or(href.as_str(), PagerDutyText::as_str);
        (label, href.as_str())
    });
    for (label, url) in actions.chain(own) {
        match link(label, url).filter(|_| links.len() < MAX_LINKS) {
            Some(link) => links.push(link),
            None => rest.push(format!("{label}: {url}")),
        }
    }
    // The text shows these with their addresses, so none is missed where there are too many.
    for inline in message.blocks.iter().flat_map(inlines) {
        if let Inline::Link { text, url, .. } = inline
            && let Some(link) = link(&one_line(text), url)
            && links.len() < MAX_LINKS
            && links.iter().all(|other: &Link| other.href != link.href)
        {
            links.push(link);
        }
    }
    (links, rest)
}

fn link(label: &str, url: &str) -> Option<Link> {
    let href = web_url(url).filter(|href| content::is_link(url) && href.len() <= MAX_HREF)?;
    let text = shorten(label, MAX_LINK_TEXT, |text| text.chars().count());
    Some(Link {
        href,
        text: text.into_owned(),
    })
}

/// Lists the author's images; what is no address after all is text.
pub(crate) fn images(options: Option<&PagerDutyOptions>, rest: &mut Vec<String>) -> Vec<Image> {
    let mut images = Vec::new();
    for image in options.into_iter().flat_map(|options| &options.images) {
        let alt = image.alt.as_ref().map(PagerDutyText::to_string);
        let mut as_text = |url: &str| {
            let name = alt.as_deref().unwrap_or("Image");
            rest.push(format!("{name}: {url}"));
        };
        let href = image.href.as_ref().and_then(|href| {
            let url = web_url(href.as_str());
            if url.is_none() {
                as_text(href.as_str());
            }
            url
        });
        let src = web_url(image.src.as_str()).filter(|src| src.starts_with("https://"));
        if let Some(src) = src {
            images.push(Image { src, href, alt });
        } else {
            as_text(image.src.as_str());
        }
    }
    images
}

/// Walks the runs of a block.
fn inlines(block: &Block) -> Box<dyn Iterator<Item = &Inline> + '_> {
    match block {
        Block::Text(inlines) | Block::Heading(inlines) => Box::new(inlines.iter()),
        Block::Items { items, .. } => Box::new(items.iter().flatten()),
        _ => Box::new(std::iter::empty()),
    }
}

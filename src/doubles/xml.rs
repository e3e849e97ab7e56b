//! Whether a body is one well-formed XML element, which the Windows device would find out too late.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Checks that the bytes are a well-formed document in UTF-8 with this root; the error says what is wrong.
pub(crate) fn check(bytes: &[u8], root: &str) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the XML is not UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut depth, mut roots) = (0_usize, Vec::new());
    loop {
        match reader
            .read_event()
            .map_err(|error| format!("the XML is not well-formed: {error}"))?
        {
            Event::Start(tag) => {
                check_attributes(&tag)?;
                if depth == 0 {
                    roots.push(tag.name().as_ref().to_vec());
                }
                depth += 1;
            }
            Event::End(_) => depth -= 1,
            Event::Text(outside) if depth == 0 && !outside.trim_ascii().is_empty() => {
                return Err("the XML has text outside its element".to_owned());
            }
            Event::GeneralRef(reference) if !is_known(reference.as_ref()) => {
                return Err("the XML refers to an unknown entity".to_owned());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if depth > 0 || roots != [root.as_bytes()] {
        return Err(format!("the XML must be one <{root}> element, complete"));
    }
    Ok(())
}

fn check_attributes(tag: &BytesStart<'_>) -> Result<(), String> {
    for attribute in tag.attributes() {
        let attribute =
            attribute.map_err(|error| format!("an attribute is not well-formed: {error}"))?;
        if attribute.value.contains(&b'<') {
            return Err("an attribute contains an unescaped <".to_owned());
        }
        attribute
            .unescape_value()
            .map_err(|error| format!("an attribute is not well-formed: {error}"))?;
    }
    Ok(())
}

/// The five entities that every document has, and characters by number.
fn is_known(reference: &[u8]) -> bool {
    matches!(reference, b"amp" | b"lt" | b"gt" | b"quot" | b"apos") || reference.starts_with(b"#")
}

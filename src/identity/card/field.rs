//! Where in a certificate something stands: in its subject, its alternative names, or an extension, by OID.

use serde::Deserialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, Class, FromDer, Tag};
use x509_parser::extensions::{GeneralName, ParsedExtension};

const COMMON_NAME: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";
/// Microsoft's user principal name.
const UPN: &str = "1.3.6.1.4.1.311.20.2.3";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Field {
    /// An attribute of the subject.
    Subject(String),
    /// An e-mail address among the alternative names.
    Email,
    /// Another name among the alternative names.
    OtherName(String),
    /// An extension that is one text.
    Extension(String),
}

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(text: String) -> Result<Field, String> {
        let (kind, oid) = text.split_once(':').unwrap_or((&text, ""));
        match (kind, is_oid(oid)) {
            ("cn", _) if oid.is_empty() => Ok(Field::Subject(COMMON_NAME.into())),
            ("serial-number", _) if oid.is_empty() => Ok(Field::Subject(SERIAL_NUMBER.into())),
            ("email", _) if oid.is_empty() => Ok(Field::Email),
            ("upn", _) if oid.is_empty() => Ok(Field::OtherName(UPN.into())),
            ("subject", true) => Ok(Field::Subject(oid.into())),
            ("other-name", true) => Ok(Field::OtherName(oid.into())),
            ("extension", true) => Ok(Field::Extension(oid.into())),
            _ => Err(format!(
                "{text:?} is no field of a certificate: write cn, serial-number, email, upn, subject:OID, other-name:OID \
                 or extension:OID, with an OID such as 2.5.4.3"
            )),
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Field::Subject(oid) => write!(f, "subject:{oid}"),
            Field::Email => f.write_str("email"),
            Field::OtherName(oid) => write!(f, "other-name:{oid}"),
            Field::Extension(oid) => write!(f, "extension:{oid}"),
        }
    }
}

/// Whether this is written as an object identifier.
pub(super) fn is_oid(text: &str) -> bool {
    let arc = |arc: &str| !arc.is_empty() && arc.len() <= 20 && arc.bytes().all(|b| b.is_ascii_digit());
    text.len() <= 128 && text.contains('.') && text.split('.').all(arc)
}

impl Field {
    /// Every value that a certificate has in this field. What is no text is passed over.
    pub fn values(&self, certificate: &X509Certificate) -> Vec<String> {
        match self {
            Field::Subject(wanted) => {
                let attributes = certificate.subject().iter_attributes();
                let named = attributes.filter(|one| one.attr_type().to_id_string() == *wanted);
                named.filter_map(|one| text(one.attr_value())).collect()
            }
            Field::Email => alternative_names(certificate)
                .filter_map(|name| match name {
                    GeneralName::RFC822Name(address) => Some((*address).to_owned()),
                    _ => None,
                })
                .collect(),
            Field::OtherName(wanted) => alternative_names(certificate)
                .filter_map(|name| match name {
                    GeneralName::OtherName(oid, value) if oid.to_id_string() == *wanted => text_in(value),
                    _ => None,
                })
                .collect(),
            Field::Extension(wanted) => {
                let extensions = certificate.extensions().iter();
                let named = extensions.filter(|one| one.oid.to_id_string() == *wanted);
                named.filter_map(|one| text_in(one.value)).collect()
            }
        }
    }
}

fn alternative_names<'a>(certificate: &'a X509Certificate) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let extensions = certificate.extensions().iter();
    let names = extensions.filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    names.flatten()
}

/// The text that these bytes are in DER, alone or in one explicit tag.
fn text_in(bytes: &[u8]) -> Option<String> {
    let (rest, mut value) = Any::from_der(bytes).ok()?;
    if !rest.is_empty() {
        return None;
    }
    if value.class() == Class::ContextSpecific && value.header.is_constructed() {
        let (rest, inner) = Any::from_der(value.data).ok()?;
        if !rest.is_empty() {
            return None;
        }
        value = inner;
    }
    text(&value)
}

/// A value as text, if it is one. What cannot be read whole is nothing, never a part of it.
fn text(value: &Any) -> Option<String> {
    if value.class() != Class::Universal {
        return None;
    }
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::VisibleString => {
            std::str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::T61String => {
            value.data.is_ascii().then(|| value.data.iter().map(|&byte| char::from(byte)).collect())
        }
        Tag::BmpString => {
            let (pairs, rest) = value.data.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            if rest.is_empty() { String::from_utf16(&units).ok() } else { None }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_by_name_or_by_oid() {
        let field = |text: &str| Field::try_from(text.to_owned());
        assert_eq!(field("cn").unwrap(), Field::Subject("2.5.4.3".into()));
        assert_eq!(field("upn").unwrap(), field("other-name:1.3.6.1.4.1.311.20.2.3").unwrap());
        for text in ["subject:2.5.4.97", "email", "other-name:1.2.3", "extension:1.2.250.1.71.4.2.1"] {
            assert_eq!(field(text).unwrap().to_string(), text);
        }
        for wrong in
            ["", "name", "subject", "subject:", "subject:cn", "cn:2.5.4.3", "extension:1..2", "email:1.2"]
        {
            assert!(field(wrong).unwrap_err().contains("subject:OID"), "{wrong}");
        }
    }

    #[test]
    fn a_text_is_read_whole_or_not_at_all() {
        assert_eq!(text_in(b"\x0c\x04anne").as_deref(), Some("anne"));
        assert_eq!(text_in(b"\xa0\x06\x0c\x04anne").as_deref(), Some("anne"));
        assert_eq!(text_in(b"\x1e\x04\0a\0n").as_deref(), Some("an"));
        for wrong in [
            &b""[..],
            b"\x0c\x04ann",
            b"\x0c\x04anne\0",
            b"\x02\x01\x05",
            b"\x1e\x03\0a\0",
            b"\x0c\x01\xff",
            b"\xa0\x00",
        ] {
            assert_eq!(text_in(wrong), None, "{wrong:?}");
        }
    }
}

//! Whom a certificate names. Its signature, dates and revocation are looked at by [`super::Authorities`].

use super::{CardError, CardsConfig};
use crate::identity::{MAX_TITLE, Newcomer, Who, is_title, sha256_hex, user_name};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension};
use x509_parser::prelude::FromDer;

/// By what cards' people are bound: all authorities that are accepted name the same people in the same way.
pub const ISSUER: &str = "card";

/// What a certificate says, by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The certificate's serial number, in hexadecimal digits.
    pub serial: String,
    /// SHA-256 of its issuer's name, in hexadecimal digits.
    pub issuer: String,
    /// What its person is bound by: the field and its value.
    pub subject: String,
    pub who: Who,
}

impl Card {
    /// Reads a certificate that an accepted authority has signed.
    pub fn read(der: &[u8], config: &CardsConfig) -> Result<Card, CardError> {
        let unusable = |what: &str| CardError::Unusable(what.to_owned());
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| unusable("it cannot be read"))?;
        if !rest.is_empty() || certificate.extensions_map().is_err() {
            return Err(unusable("it cannot be read"));
        }
        check_purpose(&certificate, config)?;
        let name = name(&certificate, config)?;
        let titles = config.title.iter().filter_map(|field| field.values(&certificate).into_iter().next());
        let mut title = titles.collect::<Vec<_>>().join(" ").trim().to_owned();
        title.retain(|c| !c.is_control());
        while title.len() > MAX_TITLE {
            title.pop();
        }
        let title = if is_title(&title) { title } else { name.clone() };
        let issuer = certificate.issuer().iter_common_name().filter_map(|one| one.as_str().ok());
        let groups = issuer.filter_map(|issuer| config.issuer_groups.get(issuer)).cloned().collect();
        Ok(Card {
            serial: certificate.raw_serial().iter().take(64).map(|byte| format!("{byte:02x}")).collect(),
            issuer: sha256_hex(certificate.issuer().as_raw()),
            subject: format!("{}={name}", config.user),
            who: Who { name, title, groups },
        })
    }

    /// How records name it: not by what it says of a person.
    pub fn described(&self) -> String {
        described(&self.serial, &self.issuer)
    }

    /// The person for whom a user is looked for.
    pub fn newcomer<'a>(&'a self, config: &'a CardsConfig) -> Newcomer<'a> {
        Newcomer {
            issuer: ISSUER,
            subject: &self.subject,
            who: &self.who,
            link: config.link,
            create: config.create,
            decided: config.decided(),
            method: "card",
        }
    }
}

fn described(serial: &str, issuer: &str) -> String {
    format!("serial {serial}, issuer sha256 {issuer}")
}

/// The same of a certificate that was refused, if it can be read.
pub fn describe(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let serial: String = certificate.raw_serial().iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    Some(described(&serial, &sha256_hex(certificate.issuer().as_raw())))
}

fn check_purpose(certificate: &X509Certificate, config: &CardsConfig) -> Result<(), CardError> {
    let parsed = || certificate.extensions().iter().map(|extension| extension.parsed_extension());
    let (mut usages, mut policies) = (Vec::new(), Vec::new());
    for extension in parsed() {
        match extension {
            ParsedExtension::ExtendedKeyUsage(usage) => usages = usage_oids(usage),
            ParsedExtension::CertificatePolicies(all) => {
                policies = all.iter().map(|policy| policy.policy_id.to_id_string()).collect();
            }
            ParsedExtension::KeyUsage(usage) if !usage.digital_signature() => {
                return Err(CardError::Purpose("its key may not sign in handshakes (keyUsage)".into()));
            }
            ParsedExtension::ParseError { .. } => {
                return Err(CardError::Unusable("an extension cannot be read".into()));
            }
            _ => {}
        }
    }
    if let Some(missing) = config.key_usages.iter().find(|wanted| !usages.contains(wanted)) {
        return Err(CardError::Purpose(format!("it lacks the extended key usage {missing}")));
    }
    if !config.policies.is_empty() && !config.policies.iter().any(|wanted| policies.contains(wanted)) {
        return Err(CardError::Purpose("it has none of the policies asked for".into()));
    }
    Ok(())
}

fn usage_oids(usage: &ExtendedKeyUsage) -> Vec<String> {
    let known = [
        (usage.any, "2.5.29.37.0"),
        (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let known = known.into_iter().filter(|(has, _)| *has).map(|(_, oid)| oid.to_owned());
    known.chain(usage.other.iter().map(|oid| oid.to_id_string())).collect()
}

fn name(certificate: &X509Certificate, config: &CardsConfig) -> Result<String, CardError> {
    let no_name = |what: &str| CardError::NoName(format!("{} {what}", config.user));
    let mut values = config.user.values(certificate);
    let value = values.pop().ok_or_else(|| no_name("is missing"))?;
    // Which of several is meant would be a guess.
    if !values.is_empty() {
        return Err(no_name("stands there more than once"));
    }
    let stripped = value.strip_prefix(config.user_prefix.as_str());
    let stripped = stripped.and_then(|value| value.strip_suffix(config.user_suffix.as_str()));
    let stripped = stripped.ok_or_else(|| no_name("is not of the form asked for"))?;
    user_name(stripped).ok_or_else(|| no_name("is no user's name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
        SanType,
    };

    fn config(more: &str) -> CardsConfig {
        let text = "listen=['127.0.0.1:1']\naddress='https://c.example'\npage='https://p.example'\nauthorities=['a']\n";
        toml::from_str(&format!("{text}{more}")).unwrap()
    }

    fn anne() -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "899700218896");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 42]), "Anne");
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 4]), "Roy");
        params.subject_alt_names = vec![SanType::Rfc822Name("anne@clinic.example".try_into().unwrap())];
        params.subject_alt_names.push(SanType::OtherName((
            vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
            rcgen::OtherNameValue::Utf8String("anne.roy@clinic.example".into()),
        )));
        params
    }

    fn read(params: CertificateParams, more: &str) -> Result<Card, CardError> {
        let key = KeyPair::generate().unwrap();
        Card::read(params.self_signed(&key).unwrap().der(), &config(more))
    }

    #[test]
    fn the_user_stands_where_the_configuration_says() {
        let name = |more: &str| read(anne(), more).unwrap().who.name;
        assert_eq!(name(""), "899700218896");
        assert_eq!(name("user_prefix = '8'"), "99700218896");
        assert_eq!(name("user = 'email'\nuser_suffix = '@clinic.example'"), "anne");
        assert_eq!(name("user = 'upn'"), "anne.roy@clinic.example");
        assert_eq!(name("user = 'subject:2.5.4.4'"), "roy");
        let card = read(anne(), "user = 'email'").unwrap();
        assert_eq!(card.who.title, "Anne Roy");
        assert_eq!(card.subject, "email=anne@clinic.example");
        let mut with = anne();
        let rpps =
            CustomExtension::from_oid_content(&[1, 2, 250, 1, 71, 4, 2, 99], b"\x13\x0b99700218896".to_vec());
        with.custom_extensions.push(rpps);
        assert_eq!(read(with, "user = 'extension:1.2.250.1.71.4.2.99'").unwrap().who.name, "99700218896");
    }

    #[test]
    fn what_is_missing_twice_or_of_another_form_names_nobody() {
        let refused = |params, more: &str| match read(params, more) {
            Err(CardError::NoName(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert!(refused(anne(), "user = 'serial-number'").contains("missing"));
        assert!(refused(anne(), "user_prefix = '0'").contains("form"));
        assert!(refused(anne(), "user = 'upn'\nuser_suffix = '@other.example'").contains("form"));
        let mut twice = anne();
        twice.subject_alt_names.push(SanType::Rfc822Name("root@clinic.example".try_into().unwrap()));
        assert!(refused(twice, "user = 'email'").contains("more than once"));
        let mut strange = anne();
        strange.distinguished_name.push(DnType::CommonName, "a b\u{0}");
        assert!(refused(strange, "").contains("no user's name"));
    }

    #[test]
    fn a_certificate_for_something_else_is_refused() {
        let purpose = |params, more: &str| matches!(read(params, more), Err(CardError::Purpose(_)));
        let mut server = anne();
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        assert!(purpose(server, ""));
        let mut any = anne();
        any.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
        assert!(purpose(any.clone(), ""), "anything is not this");
        assert!(!purpose(any, "key_usages = []"));
        assert!(purpose(anne(), "key_usages = ['1.3.6.1.4.1.311.20.2.2']"));
        let mut signs_documents = anne();
        signs_documents.key_usages = vec![KeyUsagePurpose::ContentCommitment];
        assert!(purpose(signs_documents, ""));
        let with_policy = || {
            let mut params = anne();
            // One policy, 1.2.3.4.
            let policies = b"\x30\x07\x30\x05\x06\x03\x2a\x03\x04".to_vec();
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], policies));
            params
        };
        assert!(!purpose(with_policy(), "policies = ['1.2.9', '1.2.3.4']"));
        assert!(purpose(with_policy(), "policies = ['1.2.9']"));
        assert!(purpose(anne(), "policies = ['1.2.3.4']"));
    }

    #[test]
    fn records_name_a_card_without_what_it_says_of_a_person() {
        let described = read(anne(), "").unwrap().described();
        assert!(
            described.starts_with("serial ") && !described.contains("8997") && !described.contains("anne")
        );
        assert_eq!(describe(b"not a certificate"), None);
    }
}

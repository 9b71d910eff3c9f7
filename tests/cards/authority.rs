//! Who issues cards in these tests: a root, an authority under it, and one that the root has withdrawn.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub const HOUR: Duration = Duration::from_secs(3_600);

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: rcgen::Certificate,
}

fn ca_params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

impl Authority {
    pub fn root(name: &str) -> Authority {
        let (params, key) = (ca_params(name, 1), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    pub fn under(&self, name: &str, serial: u64) -> Authority {
        let (params, key) = (ca_params(name, serial), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// A revocation list that holds from an hour ago until then.
    pub fn list(&self, revoked: &[u64], until: SystemTime) -> String {
        let an_hour_ago = SystemTime::now() - HOUR;
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: an_hour_ago.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: (an_hour_ago - HOUR).into(),
            next_update: until.into(),
            crl_number: SerialNumber::from(1u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// A card, with this authority's certificate beside its own.
    pub fn issue(&self, params: &CertificateParams) -> Card {
        self.issue_for(params, KeyPair::generate().unwrap())
    }

    pub fn issue_for(&self, params: &CertificateParams, key: KeyPair) -> Card {
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Card { chain: vec![certificate.der().clone(), self.certificate.der().clone()], key }
    }
}

/// A certificate with its key, in memory.
pub struct Card {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
}

impl Card {
    pub fn self_signed(params: &CertificateParams) -> Card {
        let key = KeyPair::generate().unwrap();
        Card { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// What a card of this person says.
pub fn person(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 42]), "Anne");
    params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 4]), "Roy");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(SerialNumber::from(serial));
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - HOUR).into(), (now + 24 * HOUR).into());
    params
}

/// All authorities of a hospital, and the files that tell a gateway of them.
pub struct Hospital {
    pub root: Authority,
    pub cards: Authority,
    pub withdrawn: Authority,
}

impl Hospital {
    pub fn new() -> Hospital {
        let root = Authority::root("Hospital Root");
        let (cards, withdrawn) = (root.under("Hospital Cards", 10), root.under("Old Hospital Cards", 11));
        Hospital { root, cards, withdrawn }
    }

    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join("root.pem"), self.root.certificate.pem()).unwrap();
        let later = SystemTime::now() + HOUR;
        std::fs::write(folder.join("root.crl"), self.root.list(&[11], later)).unwrap();
        std::fs::write(folder.join("withdrawn.crl"), self.withdrawn.list(&[], later)).unwrap();
        self.revoke(folder, &[], later);
    }

    /// The list of cards from now on.
    pub fn revoke(&self, folder: &Path, serials: &[u64], until: SystemTime) {
        let begun = folder.join("cards.new");
        std::fs::write(&begun, self.cards.list(serials, until)).unwrap();
        std::fs::rename(begun, folder.join("cards.crl")).unwrap();
    }
}

"""An RDP host that takes Kerberos alone: network level authentication (MS-CSSP) with MIT's GSSAPI as the acceptor, and
behind it an RDP server that knows TLS only.

    kerberos_host.py PORT BEHIND CERTIFICATE KEY [--early-result CODE] [--bind-to CERTIFICATE]

The keytab is named by KRB5_KTNAME. It says on its output, a line of JSON each, who has signed in and how.
BEHIND is the port of the RDP server to which everything goes after the sign-in.
"""

import argparse
import hashlib
import json
import select
import socket
import ssl
import struct
import sys
import threading

import gssapi

NEGOTIATION_RESPONSE, TLS, NLA, NLA_WITH_RESULT = 2, 1, 2, 8
CLIENT_TO_HOST = b"CredSSP Client-To-Server Binding Hash\0"
HOST_TO_CLIENT = b"CredSSP Server-To-Client Binding Hash\0"


def element(data, at=0):
    """The DER element there: tag, content, and where the next one begins."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        digits = size & 0x7F
        size, at = int.from_bytes(data[at : at + digits], "big"), at + digits
    if at + size > len(data):
        raise ValueError("an element is longer than what it is in")
    return tag, data[at : at + size], at + size


def fields(sequence):
    """The fields of a SEQUENCE by their context tags."""
    tag, content, _ = element(sequence)
    if tag != 0x30:
        raise ValueError(f"{tag:#x} is no SEQUENCE")
    found, at = {}, 0
    while at < len(content):
        tag, value, at = element(content, at)
        found[tag - 0xA0] = value
    return found


def encoded(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def request(token=None, public_key=None):
    """A TSRequest of version 6 (MS-CSSP 2.2.1)."""
    content = encoded(0xA0, encoded(0x02, b"\6"))
    if token is not None:
        item = encoded(0x30, encoded(0xA0, encoded(0x04, token)))
        content += encoded(0xA1, encoded(0x30, item))
    if public_key is not None:
        content += encoded(0xA3, encoded(0x04, public_key))
    return encoded(0x30, content)


def read_exactly(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise EOFError("the client went away")
        data += more
    return data


def read_request(stream):
    data = read_exactly(stream, 2)
    if data[1] & 0x80:
        data += read_exactly(stream, data[1] & 0x7F)
        size = int.from_bytes(data[2:], "big")
    else:
        size = data[1]
    return fields(data + read_exactly(stream, size))


def read_packet(stream):
    head = read_exactly(stream, 4)
    return head + read_exactly(stream, struct.unpack(">H", head[2:])[0] - 4)


def public_key_of(certificate):
    """The bits of the subject's public key, as CredSSP binds them."""
    der = ssl.PEM_cert_to_DER_cert(open(certificate).read())
    _, signed, _ = element(element(der)[1])
    at = 0
    while True:
        tag, content, at = element(signed, at)
        # The one SEQUENCE in a certificate whose second part is a BIT STRING.
        if tag == 0x30:
            _, _, second = element(content)
            if second < len(content) and content[second] == 0x03:
                return element(content, second)[1][1:]


def octets(field):
    return element(field)[1]


def tell(**what):
    print(json.dumps(what), flush=True)


def sign_in(stream, public_key):
    """CredSSP to its end; who it was and what was delegated."""
    context = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept"), usage="accept")
    message = read_request(stream)
    while True:
        token = octets(fields(element(message[1])[1])[0])
        answer = context.step(token)
        if context.complete:
            break
        stream.sendall(request(token=answer))
        message = read_request(stream)
    if answer:
        stream.sendall(request(token=answer))
        message = read_request(stream)
    nonce = octets(message[5])
    bound = context.unwrap(octets(message[3]))
    if not bound.encrypted:
        raise ValueError("the binding to TLS came in the clear")
    if bound.message != hashlib.sha256(CLIENT_TO_HOST + nonce + public_key).digest():
        tell(bound="to another TLS")
    proof = hashlib.sha256(HOST_TO_CLIENT + nonce + public_key).digest()
    stream.sendall(request(public_key=context.wrap(proof, True).message))
    credentials = fields(context.unwrap(octets(read_request(stream)[2])).message)
    passwords = fields(octets(credentials[1]))
    domain, user, password = (octets(passwords[n]).decode("utf-16-le") for n in range(3))
    return context, domain, user, password


def relay(one, other):
    """Both ways, until one of them ends."""
    while True:
        for source, sink in ((one, other), (other, one)):
            source.settimeout(0)
            try:
                data = source.recv(65536)
            except ssl.SSLWantReadError:
                continue
            if not data:
                return
            sink.settimeout(30)
            sink.sendall(data)
        if not (one.pending() or other.pending()):
            select.select((one, other), (), (), 1)


def serve(client, options, server_tls, public_key):
    asked = read_packet(client)
    wanted = struct.unpack("<I", asked[-4:])[0]
    if not wanted & NLA:
        tell(failure="the client does not offer network level authentication")
        return
    selected = NLA_WITH_RESULT if options.early_result is not None and wanted & NLA_WITH_RESULT else NLA
    confirm = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0" + struct.pack("<BBHI", NEGOTIATION_RESPONSE, 0, 8, selected)
    client.sendall(confirm)
    with server_tls.wrap_socket(client, server_side=True) as stream:
        context, domain, user, password = sign_in(stream, public_key)
        tell(
            principal=str(context.initiator_name),
            service=str(context.target_name),
            mechanism=context.mech.dotted_form,
            mutual=gssapi.RequirementFlag.mutual_authentication in context.actual_flags,
            domain=domain,
            user=user,
            password=password,
        )
        if selected == NLA_WITH_RESULT:
            stream.sendall(struct.pack("<I", options.early_result))
        behind = socket.create_connection(("127.0.0.1", options.behind))
        behind.sendall(asked[:-4] + struct.pack("<I", TLS))
        read_packet(behind)
        client_tls = ssl.create_default_context()
        client_tls.check_hostname, client_tls.verify_mode = False, ssl.CERT_NONE
        with client_tls.wrap_socket(behind) as behind:
            relay(stream, behind)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("behind", type=int)
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--early-result", type=int)
    parser.add_argument("--bind-to", help="the certificate whose key is bound instead, as somebody in between would have it")
    options = parser.parse_args()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(options.certificate, options.key)
    public_key = public_key_of(options.bind_to or options.certificate)
    listener = socket.create_server(("127.0.0.1", options.port))
    tell(ready=options.port)

    def alone(client):
        try:
            serve(client, options, server_tls, public_key)
        except Exception as error:
            tell(failure=f"{type(error).__name__}: {error}")
        finally:
            client.close()

    while True:
        client, _ = listener.accept()
        threading.Thread(target=alone, args=(client,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

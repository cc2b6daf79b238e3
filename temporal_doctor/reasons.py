"""What the words of the SDK mean, by steps, and what fixes it.

A row is `pattern :: text`, or `pattern :: trait :: text` if the target must have that trait, with
its fixes below, some with a trait too; `"` is the pattern above. The first that fits counts, in
any case but for (?-i:). Fixes have the user's own words alone; what the other side says ({told},
{names}, ...) is for the text.
"""

Row = tuple[str, str, str, list[tuple[str, str]]]  # pattern, trait, text, fixes with their traits


def _rows(table: str) -> list[Row]:
    rows: list[Row] = []
    for line in table.replace("\\\n", "").strip().splitlines():
        if line.startswith("    "):
            trait, _, fix = line.partition("→ ")
            rows[-1][3].append((trait.strip(), fix))
        else:
            pattern, *traits, text = line.split(" :: ")
            pattern = rows[-1][0] if pattern == '"' else pattern
            rows.append((pattern, "".join(traits), text, []))
    return rows


NAME = _rows(r"""
dns error.*(temporary|timed out) :: \
the name {host} cannot be looked up: no DNS server answers this machine
    → {address}
    → or see to this machine's network and DNS
    proxy → or set http_connect_proxy_config in client_options to your proxy
dns error :: the name {host} is unknown: misspelt, or known to a private DNS only
    → {address}
    proxy → or set http_connect_proxy_config in client_options to your proxy
""")
TCP = _rows(r"""
tcp connect error.*TimedOut :: no answer from {where}: something drops the packets
    → let this machine through to it (firewall, VPN)
    proxy → or set http_connect_proxy_config in client_options to your proxy
tcp connect error.*ConnectionRefused :: nothing listens on {where}
    local → python scripts/run_local.py --serve   # or whichever server it should be
    → {address}
tcp connect error(.*message: "(?P<told>.*?)")? :: no way to {where}: {told}
    → see to this machine's network, routes and VPN
""")
TLS = _rows(r"""
^silent|code: (?-i:CANCELLED|DEADLINE_EXCEEDED) :: {where}, accepts the connection and stays silent
    → look at the server, and at proxies in between
    → or {address}
^says \x15\x03 :: {where}, speaks TLS, and these settings do not
    → TEMPORAL_TLS=true
^says (HTTP/|<) :: {where}, is a web server: gRPC is on port 7233, the Web UI on 8233
    other port → {address_7233}
    → {address}
^says|h2 protocol error :: {where}, closes the connection without a word or answers, but not as \
gRPC does: no Temporal server, or a proxy
    → {address}
InvalidCertificate\((NotValidForName|UnknownIssuer) :: cloud name :: this is not Temporal Cloud: \
something between you and it answers, with a certificate for {names}, issued by {issuer}
    own CA → {unset_ca}: Temporal Cloud needs none
    → check the address and, with your network's people, DNS and proxies on the way
    → or, if your company's proxy inspects TLS, {ca}=<the CA that your IT department gives out>: \
got from them, not from this connection
NotValidForName|UnrecognisedName :: the server's certificate is for {names}, not {name}
    of cloud → TEMPORAL_TLS_SERVER_NAME={endpoint}
    of cloud → or, on a private link with an API key, \
TEMPORAL_TLS_SERVER_NAME=<your region's endpoint>
    own → TEMPORAL_TLS_SERVER_NAME=<the name that your operator gives>
    server name → or {unset_name}, if the address has the right name
    own → or have it issued again, with {name} as subject alternative name
InvalidCertificate\((Expired|NotValidYet) :: the server's certificate has expired or is not valid \
yet: it says {dates}, and this machine's clock {now}
    → have it renewed by whoever runs the server, or the proxy in between
    → or set this machine's clock, if it is wrong
InvalidCertificate\(UnknownIssuer :: the server's certificate is of an unknown CA: {issuer}
    → {ca}=<PEM file of the CA that your operator names>
InvalidCertificate\((Other\w*\()*(?P<told>\w+) :: the server's certificate is a CA's own, is not \
made for servers or is otherwise unfit: {told}
    → have one issued that the CA has signed for servers (extended key usage serverAuth)
NativeCertsNotFound :: this machine has no CA certificates
    → install the package ca-certificates
InvalidContentType|InvalidMessage :: {where}, speaks no TLS, and these settings do
    key → {unset_key}, if the server takes none: without TLS it travels in the clear
    own → TEMPORAL_TLS=false, and unset the other TLS settings
    cloud → look at proxies in between: TLS must pass unopened
    → or {address}
H2NotNegotiated|NoApplicationProtocol|ProtocolVersion|PeerIncompatible :: \
{where}, speaks no TLS 1.2 or 1.3 with HTTP/2, which gRPC needs
    → look at the server, and at proxies in between
    → or {address}
(AlertReceived\(|fatal alert: )(?P<told>\w+)|after connection.*(transport error|connection \
closed) :: no cert :: {where}, ends the connection after the TLS handshake: it wants a client \
certificate (mTLS) and got none, or has no Temporal server behind it {told}
    → TEMPORAL_TLS_CLIENT_CERT_PATH=<PEM file>
    → TEMPORAL_TLS_CLIENT_KEY_PATH=<its key's PEM file>
    key → and {unset_key}
    → or look at the server, and at proxies in between
" :: cert :: the server rejects the client certificate in {cert}, {subject!r} {told}
    fit → give the namespace {namespace} the CA {own_issuer!r}, and no filter against it
    → or {cert}=<a client's certificate, of a CA that it has>, with its key
Server connection error :: {where}, breaks off the TLS handshake and gives no reason
    → look at firewalls and proxies in between: TLS must pass unopened
    no cert → or the server wants a client certificate (mTLS)
    → or {address}
""")
AUTHENTICATION = TLS + _rows(r"""
(HTTP status code|response with status:) (?P<told>\d+) :: {where}, answers HTTP status {told}: \
a proxy with no Temporal server behind it
    → see that the server runs and the proxy passes gRPC on
code: unauthenticated :: key :: the server does not accept the API key in {key}: disabled, \
deleted, expired, cut off, or the namespace takes mTLS only
    → {key_line}
code: (unauthenticated|permission_?denied) :: no credential :: \
the server wants a credential and got none
    → TEMPORAL_API_KEY=<API key>
code: unauthenticated :: the server takes an API key, not a client certificate
    → TEMPORAL_API_KEY=<API key>, and unset the certificate and its key
permission_?denied :: the {credential} is known, but not allowed on the namespace {namespace}
    → give its user or service account write access to {namespace}, in the Web UI
    → or TEMPORAL_NAMESPACE=<a namespace that it has access to>
code: unimplemented :: {where}, speaks gRPC, but is no Temporal server
    → {address}
code: not_?found :: the server knows no namespace {namespace}{listed}
    → TEMPORAL_NAMESPACE={known}
    of cloud → or, on Temporal Cloud, {address}
    own → or temporal operator namespace create --namespace {quoted_namespace}
code: (?P<told>.+?, message: ".*?"), :: {told}
    → try again: the server may be starting, or busy
^(?P<told>[^\n]*) :: {told}
    → python scripts/start_ping.py --verbose
""")

"""What the words of the SDK mean, by steps, and what fixes it.

A row is `pattern :: text` or `pattern :: traits :: text`, and below it are its fixes, some with
traits: those that the target must have or, with a minus, must not. The first that fits counts;
`"` is the pattern above. Fixes have the user's own words alone.
"""

Row = tuple[str, str, str, list[tuple[str, str]]]  # pattern, traits, text, fixes with theirs


def _rows(table: str) -> list[Row]:
    rows: list[Row] = []
    for line in table.replace("\\\n", "").strip().splitlines():
        traits, arrow, fix = line.partition("→ ")
        if arrow:
            rows[-1][3].append((traits, fix))
        else:
            pattern, *needs, text = line.split(" :: ")
            rows.append((rows[-1][0] if pattern == '"' else pattern, "".join(needs), text, []))
    return rows


NAME = _rows(r"""
(dns error|failed to lookup).*(temporary|timed out) :: \
the name {looked_up} cannot be looked up: no DNS server answers this machine
    → check this machine's network and DNS, or {way}
dns error|failed to lookup :: the name {looked_up} is unknown: misspelled, or only in a private DNS
    → {way}
""")
TCP = _rows(r"""
status: 407 :: proxy :: {PROXY} has no user and password that {proxy} accepts
    → {PROXY}=<its URL with user and password, percent-encoded>
status: (?P<told>403[^\n]*) :: proxy :: {proxy} refuses to connect to {where}: {told}
    → have whoever runs the proxy allow CONNECT to {where}
failed with status: (?P<told>[^\n]*) :: proxy :: {proxy} does not reach {where}: {told}
    → {address}
client error.*\s+Caused by:\s+(?P<told>[^\n]*) :: proxy :: no way through {proxy}: {told}
    → {way}
^TimedOut|tcp connect error.*TimedOut :: no answer from {where}: something drops the packets
    → let this machine through to it (firewall, VPN)
tcp connect error.*ConnectionRefused :: nothing listens on {where}
    local → python scripts/run_local.py --serve   # or start the server you meant
    local container → or {server.name}=<the service's name>:7233, or host.docker.internal:7233
    → {address}
    -local -of-cloud → or temporal server start-dev --ip {host}   # the default is 127.0.0.1
tcp connect error(.*message: "(?P<told>.*?)")? :: no way to {where}: {told}
    → check this machine's network, routes and VPN
""")
TLS = _rows(r"""
^silent|code: (?-i:CANCELLED|DEADLINE_EXCEEDED) :: {where} accepts the connection and stays silent
    → {address}, or check the server and any proxy
^says \x15\x03 :: {where} speaks TLS, and these settings do not
    → TEMPORAL_TLS=true
^says (HTTP/|<) :: {where} is a web server: gRPC is on port 7233, the Web UI on 8233
    -of-cloud -7233 → {server.name}={host}:7233
    -of-cloud 7233 → {address}
    of-cloud → {address}
^says|h2 protocol error :: {where} closes the connection without a word or speaks no gRPC: not a \
Temporal server, or a proxy
    → {address}
InvalidCertificate\((NotValidForName|UnknownIssuer) :: cloud-name :: this is not Temporal Cloud: \
something between you and it answers, with a certificate for {names} by {issuer}
    CA → {ca.removal}: Temporal Cloud needs none
    → check the address and, with your network team, DNS and proxies
    → or, if your IT department's proxy inspects TLS, {ca.name}=<its CA, got from them alone>
    proxy → or {detour}
NotValidForName|UnrecognisedName :: the server's certificate is for {names}, not {name}
    of-cloud → TEMPORAL_TLS_SERVER_NAME={endpoint}
    of-cloud key → or TEMPORAL_TLS_SERVER_NAME=<your region's endpoint>, on a private link
    -of-cloud → TEMPORAL_TLS_SERVER_NAME=<the name that your operator gives>
    -of-cloud → or have it reissued, with {name} as subject alternative name
InvalidCertificate\((Expired|NotValidYet) :: the server's certificate has expired or is not valid \
yet: it is valid {dates}, and this machine's clock says {now}
    → set this machine's clock, or have whoever runs the server renew it
InvalidCertificate\(UnknownIssuer :: the server's certificate is from an unknown CA: {issuer}
    → {ca.name}=<PEM file of your operator's CA>
InvalidCertificate\((Other\w*\()*(?P<told>\w+) :: the server's certificate is a CA's own, is not \
made for servers or is otherwise unfit: {told}
    → have one signed by the CA for servers (extended key usage serverAuth)
NativeCertsNotFound :: this machine has no CA certificates
    → install the ca-certificates package
InvalidContentType|InvalidMessage :: {where} speaks no TLS, and these settings do
    key -of-cloud → {server.name}=<host:port where it speaks TLS>
    key -of-cloud → or TEMPORAL_TLS=false, if anyone on the way may read the API key
    -key -of-cloud → TEMPORAL_TLS=false, and unset the other TLS settings
    of-cloud → {address}, or check proxies in between: TLS must pass unopened
H2NotNegotiated|NoApplicationProtocol|ProtocolVersion|PeerIncompatible :: {where} speaks no \
TLS 1.2 or 1.3 with HTTP/2, which gRPC needs
    → {address}, or check the server and any proxy
(AlertReceived\(|fatal alert: )(?P<told>\w+)|after connection.*(transport error|connection \
closed) :: TLS -cert :: {where} ends the connection after the TLS handshake: it wants a client \
certificate (mTLS) and got none, or has no Temporal server behind it {told}
    → {cert.name}=<PEM file>, and its key
    key → and {key.removal}
    → or check the server and any proxy
" :: cert :: the server rejects the client certificate in {cert.name}, {subject!r} {told}
    fit → give the namespace {namespace} the CA {own_issuer!r}, and no filter against it
    → or {cert.name}=<a client certificate from a CA it has>, with its key
Server connection error :: {where} breaks off the TLS handshake without a reason
    → {address}, or check firewalls and proxies in between
    -local → or {detour}
    TLS -cert → or the server wants a client certificate (mTLS)
""")
AUTHENTICATION = TLS + _rows(r"""
(HTTP status code|response with status:) (?P<told>\d+) :: {where} answers HTTP status {told}: \
a proxy with no Temporal server behind it
    → check that the server runs and the proxy passes gRPC on
code: unauthenticated :: key :: the server does not accept the API key in {key.name} \
({key.source}): disabled, deleted, expired, cut off, or the namespace takes mTLS only
    → {key_line}
code: (unauthenticated|permission_?denied) :: -key -cert :: \
the server wants a credential and got none
    → TEMPORAL_API_KEY=<API key>
code: unauthenticated :: the server takes an API key, not a client certificate
    → TEMPORAL_API_KEY=<API key>, and unset the certificate and its key
permission_?denied :: the {credential} is known, but not allowed on the namespace {namespace}
    → give its user or service account write access to {namespace}, in the Web UI
    → or TEMPORAL_NAMESPACE=<a namespace it has access to>
code: unimplemented :: {where} speaks gRPC, but is not a Temporal server
    → {address}
code: not_?found :: the server knows no namespace {namespace}
    -of-cloud → TEMPORAL_NAMESPACE=default, or as the Web UI spells it
    of-cloud → TEMPORAL_NAMESPACE=<name>.<account>, as the Web UI spells it
    of-cloud → or, on Temporal Cloud, {address}
    -of-cloud → or temporal operator namespace create --namespace {namespace}
code: (?P<told>.+?, message: ".*?"), :: {told}
    → try again: the server may be starting, or busy
^(?P<told>[^\n]*) :: {told}
    → python scripts/start_ping.py --verbose
""")

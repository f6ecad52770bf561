# Requests on standard output with the client that the proxy names; errors elsewhere.
accesslog = "-"
errorlog = "error.log"
loglevel = "warning"
access_log_format = (
    'remote=%({X-Forwarded-For}i)s method=%(m)s path="%(U)s" query="%(q)s" proto=%(H)s '
    'status=%(s)s bytes=%(B)s type="%({content-type}o)s" agent="%(a)s" pid=%(p)s none=%(nix)s'
)
forwarded_allow_ips = "*"

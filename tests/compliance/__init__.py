"""The Autobahn testsuite (RFC 6455 and RFC 7692 conformance) against both roles."""

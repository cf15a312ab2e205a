"""The command line, without a cluster: what is shown, what is asked, what is sent, how it exits."""

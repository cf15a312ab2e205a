"""From what other tools write to our own two formats, at the desk of whoever evaluates: before anything is signed.

In: Parquet and Arrow files, tables and metric files of MLflow. Out: scored samples (JSON Lines) or plain metrics (JSON), read before they are written.
`tables` is what a source looks like to `samples`, which writes the lines; `arrow` alone imports pyarrow. Nothing here is reached from the cluster's side.
"""

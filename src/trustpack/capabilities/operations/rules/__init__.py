"""Pure decisions of high-risk operations: values in, values or a named error out. Owns no input or output."""

// Numbers as text.

/** With so many digits after the point, and no -0.00. */
export const fixed = (value, digits) => value.toFixed(digits).replace(/^-(?=[0.]*$)/, "");

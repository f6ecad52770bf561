/* The version of Indrik that this is of. */

#ifndef VERSION
#define VERSION "0.1.0"
#endif

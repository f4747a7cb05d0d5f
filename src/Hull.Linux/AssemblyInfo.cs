using System.Runtime.CompilerServices;

// Every signature here is blittable, so no marshalling code is to be generated or looked up at run time.
[assembly: DisableRuntimeMarshalling]
[assembly: InternalsVisibleTo("Hull.Linux.Tests")]

using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Hull.Images.Tests")]
[assembly: InternalsVisibleTo("Hull.ImagesFuzz.Tests")]

using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Hull.Network.Tests")]
